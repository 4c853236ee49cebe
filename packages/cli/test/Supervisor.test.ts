import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { ChildProcessSpawner, make as makeSpawner } from "effect/process/ChildProcessSpawner"
import { TestClock } from "effect/testing"
import * as Supervisor from "../src/dev/Supervisor.ts"

const orders = {
  name: "orders",
  file: "orders.ts",
  port: 4100,
  natsUrl: Redacted.make("nats://h"),
  databaseUrl: Redacted.make("postgres://h/d")
}

/** A world without processes: each start is a child that the test can end. */
const world = (
  options: {
    readonly ready?: boolean
    readonly answers?: boolean
    readonly taken?: number
    readonly says?: string
  } = {}
) => {
  const said: Array<string> = []
  const passed: Array<string> = []
  const ports: Array<number> = []
  const children: Array<{ readonly pid: number; readonly end: (how: string) => void; stopped: boolean }> = []
  const it: Supervisor.World = {
    start: ({ port }, say) =>
      Effect.gen(function* () {
        ports.push(port)
        const gone = yield* Deferred.make<string>()
        const end = (how: string) => void Deferred.doneUnsafe(gone, Effect.succeed(how))
        const child = { pid: 100 + children.length, end, stopped: false }
        children.push(child)
        yield* Effect.addFinalizer(() => Effect.sync(() => void (child.stopped = true)))
        say(`hello from ${child.pid}`)
        if (options.says !== undefined) say(options.says)
        if (port === options.taken) say("TRP0107 the health port is taken · a · b · c")
        return {
          pid: child.pid,
          ready: options.ready === false ? Effect.never : Effect.succeed("http://127.0.0.1:4100"),
          ended: Deferred.await(gone),
          kill: Effect.sync(() => end("SIGKILL"))
        }
      }),
    probe: () => ({ ok: options.answers === false ? Effect.never : Effect.void, why: () => "it says 503 not yet" }),
    port: (taken) => Effect.succeed(taken + 7),
    pass: (_, line) => void passed.push(line),
    say: (text) => void said.push(text)
  }
  return { it, said, passed, ports, children }
}

const supervise = (one: Supervisor.Supervisor) =>
  Effect.forkChild(
    Effect.provideService(
      one.run,
      ChildProcessSpawner,
      makeSpawner(() => Effect.die("no process is started here"))
    )
  )

describe("a supervised service", () => {
  it.effect("is ready once it says so and answers, and is stopped with its supervisor", () =>
    Effect.gen(function* () {
      const { children, it } = world()
      const one = Supervisor.make(orders, it)
      const fiber = yield* supervise(one)
      assert.deepStrictEqual(yield* one.ready, { name: "orders", url: "http://127.0.0.1:4100", pid: 100 })
      assert.strictEqual(one.running()?.pid, 100)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(children[0]?.stopped)
      assert.isUndefined(one.running())
    })
  )

  it.effect("is started again when it dies, and that is shown", () =>
    Effect.gen(function* () {
      const { children, it, said } = world()
      const one = Supervisor.make(orders, it)
      yield* supervise(one)
      yield* one.ready
      children[0]?.end("SIGKILL")
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(children.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(one.running()?.pid, 101)
      assert.deepStrictEqual(said, [
        "orders ended (SIGKILL), starting it again in 100 ms",
        "orders is ready again after 0.0 s (process 101)"
      ])
    })
  )

  it.effect("is given up when it dies too often, with what it said last", () =>
    Effect.gen(function* () {
      const { children, it } = world()
      const fiber = yield* supervise(Supervisor.make(orders, it))
      for (let i = 0; i < 6; i++) {
        yield* TestClock.adjust("5 seconds")
        children.at(-1)?.end("exit code 1")
      }
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), /TRP0105 .* · orders · exit code 1, 5 restarts in a minute; it said: hello from 105/)
      assert.strictEqual(children.length, 6)
    })
  )

  it.effect("is given up when it dies before it was ready, with its own error, which nobody has said before", () =>
    Effect.gen(function* () {
      const says = "TRP0401 cannot connect to NATS · nats://h · refused · check it"
      const { children, it, passed, said } = world({ ready: false, says })
      const fiber = yield* supervise(Supervisor.make(orders, it))
      yield* TestClock.adjust("1 seconds")
      children[0]?.end("exit code 1")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepStrictEqual([error.code, error.message], ["TRP0401", says])
      assert.deepStrictEqual(passed, ["hello from 100"])
      assert.deepStrictEqual(said, ["orders ended (exit code 1) before it was ready"])
      assert.strictEqual(children.length, 1)
    })
  )

  it.effect("is given up when it dies before it was ready and gives no reason", () =>
    Effect.gen(function* () {
      const { children, it } = world({ ready: false })
      const fiber = yield* supervise(Supervisor.make(orders, it))
      yield* TestClock.adjust("1 seconds")
      children[0]?.end("SIGKILL")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.match(error.message, /^TRP0105 .* · orders · SIGKILL; it said: hello from 100 · /)
    })
  )

  it.effect("may be killed on purpose as often as one likes", () =>
    Effect.gen(function* () {
      const { children, it, said } = world()
      const one = Supervisor.make(orders, it)
      yield* supervise(one)
      yield* one.ready
      for (let i = 0; i < 20; i++) {
        yield* one.kill
        yield* TestClock.adjust("1 millis")
      }
      assert.strictEqual(children.length, 21)
      assert.strictEqual(one.running()?.pid, 120)
      assert.strictEqual(said[0], "orders was killed (SIGKILL), starting it again")
    })
  )

  it.effect("takes another port when somebody was there first", () =>
    Effect.gen(function* () {
      const { children, it, passed, ports } = world({ ready: false, taken: 4100 })
      yield* supervise(Supervisor.make(orders, it))
      yield* TestClock.adjust("5 seconds")
      children.at(-1)?.end("exit code 1")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(ports, [4100, 4107])
      assert.strictEqual(passed[1], "TRP0107 the health port is taken · a · b · c")
    })
  )

  it.effect("has a minute to become ready", () =>
    Effect.gen(function* () {
      for (const [options, why] of [
        [{ ready: false, answers: false }, "it did not say that it is ready; it says 503 not yet"],
        [{ answers: false }, "it says 503 not yet"]
      ] as const) {
        const { children, it } = world(options)
        const fiber = yield* supervise(Supervisor.make(orders, it))
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 seconds")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.match(error.message, /^TRP0106 /)
        assert.include(error.message, `after 60 seconds: ${why}; it said: hello from 100`)
        assert.isTrue(children[0]?.stopped)
      }
    })
  )
})
