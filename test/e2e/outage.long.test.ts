import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { Postgres } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

const statusOf = (host: World.HostProcess, path: string) =>
  fetch(`${host.url}/${path}`).then((response) => response.status)

it.live(
  "while PostgreSQL refuses connections a host with work is alive and not ready, and goes on by itself afterwards",
  () =>
    Effect.gen(function* () {
      const postgres = yield* Postgres.start()
      const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
      const host = yield* world.start()
      const counter = world.contract.Counter.at("a")
      assert.strictEqual(yield* Effect.provide(ask(counter.add({ n: 1 })), world.client), 1)
      yield* postgres.kill("SIGKILL")
      yield* Effect.provide(send(counter.add({ n: 1 })), world.client)
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 503
      )
      const troubles = async (): Promise<ReadonlyArray<string>> =>
        ((await (await fetch(`${host.url}/readyz`)).json()) as { readonly trouble: ReadonlyArray<string> }).trouble
      const away = yield* World.until(troubles, (all) => all.some((one) => one.startsWith("TRP0501")))
      for (const one of away) assert.match(one, /^TRP\d{4} /)
      const said = (what: RegExp) => host.output().match(what) ?? []
      yield* World.until(
        async () => said(/TRP0501/g),
        (lines) => lines.length === 1
      )
      // Longer than a cursor may stand still while messages wait: 30 s.
      const until = performance.now() + 45_000
      const lives: Array<number> = []
      yield* Effect.promise(() => statusOf(host, "livez")).pipe(
        Effect.tap((status) => Effect.sync(() => lives.push(status))),
        Effect.delay("500 millis"),
        Effect.repeat({ until: () => performance.now() > until })
      )
      assert.deepStrictEqual([...new Set(lives)], [200])
      yield* postgres.restart
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 200
      )
      assert.strictEqual(yield* Effect.provide(ask(counter.add({ n: 1 })), world.client), 3)
      assert.lengthOf(said(/TRP0501.*127\.0\.0\.1/g), 2, "at once, and after 30 s")
      yield* World.until(
        async () => said(/PostgreSQL, postgres:\S+, is there again after \d+ s/g),
        (lines) => lines.length === 1
      )
      // What is told of a server that is away has a code.
      for (const line of said(/.* (WARN|ERROR) .*/g)) assert.match(line, /TRP\d{4}/)
    }).pipe(Effect.scoped),
  180_000
)

it.live(
  "while PostgreSQL is a standby a host is alive and not ready, and says why",
  () =>
    Effect.gen(function* () {
      const postgres = yield* Postgres.start()
      const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
      const host = yield* world.start()
      const add = Effect.provide(ask(world.contract.Counter.at("a").add({ n: 1 })), world.client)
      assert.strictEqual(yield* add, 1)
      yield* postgres.kill("SIGKILL")
      writeFileSync(join(postgres.dataDir, "standby.signal"), "")
      yield* postgres.restart
      yield* World.until(
        async () => (await fetch(`${host.url}/readyz`)).text(),
        (text) => /TRP0501 [^"]*standby/.test(text)
      )
      yield* World.until(
        async () => host.output(),
        (output) => /WARN.* TRP0501 .*standby/.test(output)
      )
      assert.strictEqual(yield* Effect.promise(() => statusOf(host, "livez")), 200)
      yield* Effect.promise(() => world.sql`select pg_promote()`)
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 200
      )
      assert.strictEqual(yield* add, 2)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "streams that are deleted while hosts run are created anew, filled from the outbox, and nothing is handled twice",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      const add = Effect.provide(ask(world.contract.Counter.at("a").add({ n: 1 })), world.client)
      for (let i = 1; i <= 5; i++) assert.strictEqual(yield* add, i)
      yield* World.settled(world)
      const streams = ["CMD", "EVT", "PLACE"].map((kind) => `${kind}_${world.name}`)
      for (const name of streams) assert.isTrue(yield* Effect.promise(() => world.jsm.streams.delete(name)))
      yield* World.until(
        () => Promise.all(streams.map((name) => world.jsm.streams.info(name).catch(() => undefined))),
        (found) => found.every((info) => info !== undefined)
      )
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 200
      )
      assert.strictEqual(yield* add, 6)
      yield* World.until(
        async () => (await world.jsm.streams.info(`EVT_${world.name}`)).state.messages,
        (count) => count === 6
      )
      yield* World.settled(world)
      const rows = yield* Effect.promise(() => world.sql`select total from app.log order by id`)
      assert.deepStrictEqual(
        rows.map((row) => row["total"]),
        [1, 2, 3, 4, 5, 6]
      )
      assert.match(host.output(), /TRP0430/)
    }).pipe(Effect.scoped),
  60_000
)
