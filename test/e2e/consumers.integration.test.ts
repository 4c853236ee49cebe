import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

it.live("a consumer that nobody runs any more, with messages that wait, is told at the start and by a metric", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const first = yield* world.start()
    const at = (key: string) => world.contract.Counter.at(key)
    assert.strictEqual(yield* Effect.provide(ask(at("a").add({ n: 1 })), world.client), 1)
    assert.notInclude(first.output(), "TRP0516")
    // As if its code had had an actor more, which was removed.
    yield* Effect.promise(async () => {
      const { name, sql } = world
      const [row] =
        await sql`insert into troupe.consumer (name, partitions) values (${`${name}.Gone`}, 16) returning id`
      await sql`insert into troupe.timer (consumer, p, key, name, due, id, stream, subject, headers, body)
        values (${row!["id"]}, 3, 'k', 't', now(), gen_random_uuid(), '', '', '{}', '')`
      await world.jsm.streams.info(`CMD_${name}`)
    })
    yield* Effect.promise(async () => {
      world.nats.publish(`cmd.${world.name}.Gone.do.k`, "{}")
      await world.nats.flush()
    })
    const second = yield* world.start()
    yield* World.until(
      async () => second.output(),
      (output) => output.includes("TRP0516")
    )
    assert.match(
      second.output(),
      new RegExp(`TRP0516 .*${world.name}.Gone · 1 timers, 0 parked messages and unread commands in 1 partitions`)
    )
    const { text } = yield* World.until(
      async () => ({ text: await (await fetch(`${second.url}/metrics`)).text() }),
      ({ text }) => /^troupe_consumers_unclaimed 1$/m.test(text)
    )
    assert.notInclude(text, "Gone", "labels hold no names of what was removed")
    // One that another living host runs is not removed.
    yield* Effect.promise(
      () => world.sql`update troupe.host set consumers = consumers || (select id from troupe.consumer where name = ${`${world.name}.Gone`})
        where name like ${`% ${first.pid}`}`
    )
    const third = yield* world.start()
    yield* Effect.provide(send(at("b").add({ n: 1 })), world.client)
    yield* World.until(
      async () => (await fetch(`${third.url}/metrics`)).text(),
      (text) => /^troupe_consumers_unclaimed 0$/m.test(text)
    )
    assert.notInclude(third.output(), "TRP0516")
  }).pipe(Effect.scoped)
)
