import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { assert, describe, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { NatsServer, Postgres } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { addAll, exactly } from "./src/adding.ts"
import * as World from "./src/world.ts"

const keys = Array.from({ length: 40 }, (_, i) => `key ${i} é`)

const worlds = {
  "one host": World.make,
  "one host, and its handlers at an edge": World.atEdge("deno")
}

describe.each(Object.entries(worlds))("%s", (_, make) => {
  it.live(
    "handles each message once, in the order of its key",
    () =>
      Effect.gen(function* () {
        const world = yield* make
        yield* world.start()
        const totals = yield* Effect.provide(addAll(world, keys, 10), world.client)
        for (const each of totals) assert.deepStrictEqual(each, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        yield* exactly(world, keys, 10)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "killed ten times in the middle of batches, it loses, repeats and reorders nothing",
    () =>
      Effect.gen(function* () {
        const world = yield* make
        let host = yield* world.start()
        const rounds = 60
        const done = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
        let kills = 0
        while (kills < 10) {
          // A random moment: after so many more turns than the kill before, wherever the host is then.
          const handled = () =>
            world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number)
          const target = (kills + 1) * 150 + (yield* Random.nextIntBetween(0, 100))
          yield* World.until(handled, (n) => n >= target)
          host.kill("SIGKILL")
          const end = yield* host.ended
          assert.strictEqual(end.signal, "SIGKILL", "the fault fired")
          kills++
          host = yield* world.start()
        }
        const totals = yield* Fiber.join(done)
        for (const each of totals)
          assert.deepStrictEqual(
            each,
            Array.from({ length: rounds }, (_, i) => i + 1)
          )
        yield* exactly(world, keys, rounds)
      }).pipe(Effect.scoped),
    180_000
  )

  for (const point of ["before commit", "after commit", "before publish", "after publish"] as const) {
    it.live(
      `crashed ${point}, it goes on with nothing lost and nothing twice`,
      () =>
        Effect.gen(function* () {
          const world = yield* make
          const scope = yield* Scope.Scope
          const host = yield* world.start({ crash: { point, nth: 5 } })
          const adding = yield* Effect.forkIn(Effect.provide(addAll(world, keys, 5), world.client), scope)
          const end = yield* host.ended
          assert.strictEqual(end.signal, "SIGKILL")
          assert.include(host.output(), `crash: ${point}`, "the fault fired")
          yield* world.start()
          const totals = yield* Fiber.join(adding)
          for (const each of totals) assert.deepStrictEqual(each, [1, 2, 3, 4, 5])
          yield* exactly(world, keys, 5)
        }).pipe(Effect.scoped),
      60_000
    )
  }

  it.live(
    "a message published again inside the duplicate window, and beyond it, is handled once",
    () =>
      Effect.gen(function* () {
        const world = yield* make
        yield* world.start({ limits: { duplicateWindow: "2 seconds" } })
        const id = "0198c0de-0000-7000-8000-000000000001"
        const add = world.contract.Counter.at("twice").add({ n: 5 })
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* ask(add, { id }), 5)
          assert.strictEqual(yield* ask(add, { id }), 5, "inside the window: answered from the inbox")
          const js = jetstream(world.nats)
          const publish = async () => {
            const wire = headers()
            wire.set("ce-id", id)
            wire.set("ce-type", `${world.name}.Counter.add`)
            wire.set("ce-source", "test")
            return await js.publish(`cmd.${world.name}.Counter.add.twice`, JSON.stringify({ n: 5 }), {
              headers: wire,
              msgID: id
            })
          }
          const inside = yield* Effect.promise(publish)
          assert.isTrue(inside.duplicate, "inside the window the stream drops it")
          const beyond = yield* World.until(publish, ({ duplicate }) => !duplicate)
          assert.isFalse(beyond.duplicate, "the window is over: the stream takes it again")
          yield* World.settled(world)
          assert.strictEqual(yield* ask(world.contract.Counter.at("twice").add({ n: 1 })), 6, "handled once in all")
          yield* send(add, { id })
          assert.strictEqual(yield* ask(world.contract.Counter.at("twice").add({ n: 1 })), 7)
        }).pipe(Effect.provide(world.client))
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("one host", () => {
  it.live(
    "with nats-server killed three times, and Postgres' connections too, it loses, repeats and reorders nothing",
    () =>
      Effect.gen(function* () {
        const nats = yield* NatsServer.start({ syncAlways: true })
        const database = yield* Postgres.start()
        const world = yield* World.on({ natsUrl: nats.url, adminUrl: database.url })
        const host = yield* world.start()
        const rounds = 60
        const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
        const handled = () =>
          world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number)
        for (let kill = 1; kill <= 3; kill++) {
          const before = yield* World.until(handled, (n) => n >= kill * 400)
          yield* nats.kill("SIGKILL")
          yield* nats.restart
          const ended = yield* Effect.promise(
            () => world.sql`select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
            where datname = current_database() and application_name like 'troupe:%'`
          )
          assert.isAbove(ended[0]!["n"], 0, "the fault fired")
          yield* World.until(handled, (n) => n > before)
        }
        for (const each of yield* Fiber.join(adding)) {
          assert.deepStrictEqual(
            each,
            Array.from({ length: rounds }, (_, i) => i + 1)
          )
        }
        yield* exactly(world, keys, rounds)
        assert.strictEqual((yield* Effect.promise(() => fetch(`${host.url}/readyz`))).status, 200)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "what the broker lost of a lane is filled up again at the next take-over, before anything newer",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make
        // So short that the stream has forgotten the ids when the next host is there.
        const limits = { duplicateWindow: "100 millis" } as const
        const first = yield* world.start({ limits })
        yield* Effect.provide(addAll(world, ["k"], 5), world.client)
        yield* World.settled(world)
        first.kill("SIGTERM")
        yield* first.ended
        const stream = `EVT_${world.name}`
        const totals = Effect.promise(async () => {
          const { first_seq, last_seq } = (await world.jsm.streams.info(stream)).state
          const found: Array<number> = []
          for (let seq = first_seq; seq <= last_seq; seq++) {
            const message = await world.jsm.streams.getMessage(stream, { seq })
            if (message !== null) found.push(message.json<{ total: number }>().total)
          }
          return found
        })
        assert.deepStrictEqual(yield* totals, [1, 2, 3, 4, 5])
        for (const seq of [4, 5]) yield* Effect.promise(() => world.jsm.streams.deleteMessage(stream, seq))
        assert.deepStrictEqual(yield* totals, [1, 2, 3], "the fault fired")
        yield* world.start({ limits })
        yield* World.until(
          () => Effect.runPromise(totals),
          (found) => found.length === 5
        )
        assert.strictEqual(yield* Effect.provide(ask(world.contract.Counter.at("k").add({ n: 1 })), world.client), 6)
        assert.deepStrictEqual(
          yield* World.until(
            () => Effect.runPromise(totals),
            (found) => found.length >= 6
          ),
          [1, 2, 3, 4, 5, 6]
        )
        yield* World.settled(world)
        const log = yield* Effect.promise(() => world.sql`select total from app.log order by id`)
        assert.deepStrictEqual(
          log.map((row) => row["total"]),
          [1, 2, 3, 4, 5, 6],
          "nothing is handled twice"
        )
      }).pipe(Effect.scoped),
    60_000
  )
})
