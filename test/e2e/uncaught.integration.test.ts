import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import * as Effect from "effect/Effect"
import { troupe } from "./src/cli.ts"
import { trap } from "./src/trap.ts"
import * as World from "./src/world.ts"

const file = fileURLToPath(new URL("src/trap.ts", import.meta.url))

/** A service that `troupe run` and `troupe dev` can start, and its client. */
const trapped = Effect.gen(function* () {
  const world = yield* World.make
  const env = { NATS_URL: world.natsUrl, DATABASE_URL: world.databaseUrl, TRAP: world.name }
  const start = (...args: ReadonlyArray<string>) =>
    Effect.tap(troupe(args, env), ({ said }) => says(() => said.out, /\n/))
  const hit = (how: string) => trap(world.name).Box.at("a").hit({ how })
  return { world, run: start("run", file, "--http-port", "0"), start, hit }
})
const says = (text: () => string, what: RegExp) =>
  World.until(
    () => Promise.resolve(text()),
    (text) => what.test(text)
  )

describe("under troupe run", () => {
  it.live(
    "what a handler left behind throws or rejects: it is named, and the host goes on",
    () =>
      Effect.gen(function* () {
        const { hit, run, world } = yield* trapped
        const { ended, kill, said } = yield* run
        yield* Effect.gen(function* () {
          for (const [how, what] of [
            ["timer", /TRP0317 .*Box\.hit a, id \S+ · an exception that nobody caught · .*\n?.*thrown late/],
            ["rejection", /TRP0317 .*Box\.hit a, id \S+ · a promise was rejected, .*\n?.*rejected late/]
          ] as const) {
            assert.strictEqual(yield* ask(hit(how)), how)
            yield* says(() => said.err, what)
          }
          assert.strictEqual(yield* ask(hit("nothing")), "nothing")
        }).pipe(Effect.provide(world.client))
        kill("SIGTERM")
        assert.strictEqual(yield* ended, 0)
        assert.notMatch(said.err, /TRP0603|TRP0318|TRP0325/)
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "an exception that no handler caused ends the host with its code, whoever else listens",
    () =>
      Effect.gen(function* () {
        const { ended, kill, said } = yield* (yield* trapped).run
        kill("SIGUSR2")
        assert.strictEqual(yield* ended, 1)
        assert.match(said.err, /TRP0318 .* · no message ran · .*\n?.*thrown late/)
        assert.notMatch(said.err, /TRP0603|TRP0325/)
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "a handler that ends the process as if all were well is named, and the exit code says that it was not",
    () =>
      Effect.gen(function* () {
        const { hit, run, world } = yield* trapped
        const { ended, said } = yield* run
        yield* Effect.provide(send(hit("exit")), world.client)
        assert.strictEqual(yield* ended, 1)
        assert.match(said.err, /TRP0325 .* · the handler of \S+\.Box\.hit a, id \S+, ended it with exit code 0 · /)
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "an exception before the host runs is one line, and ends the command",
    () =>
      Effect.gen(function* () {
        const nowhere = { NATS_URL: "nats://127.0.0.1:1", DATABASE_URL: "postgres://me:secret@127.0.0.1:1/none" }
        const { ended, kill, said } = yield* troupe(["run", file, "--http-port", "0"], nowhere)
        yield* says(() => said.err, /TRP0401/)
        kill("SIGUSR2")
        assert.strictEqual(yield* ended, 1)
        assert.match(said.err, /^TRP0603 .*thrown late \(\S+trap\.ts:\d+:\d+\)/m)
      }).pipe(Effect.scoped),
    90_000
  )
})

it.live(
  "a service of troupe dev ends with it, also while it waits for servers that are gone",
  () =>
    Effect.gen(function* () {
      const nowhere = { NATS_URL: "nats://127.0.0.1:1", DATABASE_URL: "postgres://me:secret@127.0.0.1:1/none" }
      const { ended, leave, said } = yield* troupe(["run", file, "--http-port", "0"], {
        ...nowhere,
        TROUPE_PARENT: "stdin"
      })
      yield* says(() => said.err, /TRP0401/)
      leave()
      assert.strictEqual(yield* Effect.timeout(ended, "20 seconds"), 0)
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "under troupe dev, what a handler left behind throws, and its service is not started again",
  () =>
    Effect.gen(function* () {
      const { hit, start, world } = yield* trapped
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => {
          const mine = `${new URL(world.databaseUrl).pathname.slice(1)}_`
          for (const { name } of await world.sql`select datname as name from pg_database where datname ^@ ${mine}`)
            await world.sql.unsafe(`drop database "${name}" with (force)`)
          for (const { name } of await world.sql`select rolname as name from pg_roles where rolname ^@ ${mine}`)
            await world.sql.unsafe(`drop role "${name}"`)
        })
      )
      const { ended, kill, said } = yield* start("dev", file, "--json")
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* ask(hit("timer")), "timer")
        yield* says(() => said.err, /TRP0317|starting it again/)
        assert.strictEqual(yield* ask(hit("nothing")), "nothing")
      }).pipe(Effect.provide(world.client))
      assert.notInclude(said.err, "starting it again")
      kill("SIGINT")
      assert.strictEqual(yield* ended, 0)
    }).pipe(Effect.scoped),
  90_000
)
