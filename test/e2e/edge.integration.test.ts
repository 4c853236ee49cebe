import { createServer, type RequestListener, type Server } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { ask, type Client, type ClientError, send } from "@troupe/client"
import { Host } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { addAll, exactly } from "./src/adding.ts"
import { counters } from "./src/counters.ts"
import * as World from "./src/world.ts"

const keys = Array.from({ length: 40 }, (_, i) => `key ${i} é`)
const handled = (world: World.World) => () =>
  world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number)
const upTo = (rounds: number) => Array.from({ length: rounds }, (_, i) => i + 1)

const readyz = (host: World.HostProcess) => () => fetch(`${host.url}/readyz`).then((response) => response.text())
const rejected = (error: unknown, code: string) =>
  assert.deepInclude((error as ClientError).reason, { _tag: "Rejected", code })

describe.each(["deno", "bun", "workerd"] as const)("an edge on %s", (runtime) => {
  it.live(
    "killed again and again in the middle of batches, it loses, repeats and reorders nothing",
    () =>
      Effect.gen(function* () {
        const world = yield* World.atEdge(runtime)
        const host = yield* world.start()
        const rounds = 25
        const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
        for (let kill = 1; kill <= 3; kill++) {
          yield* World.until(handled(world), (n) => n >= kill * 200)
          assert.isTrue(yield* world.edge.kill, "the fault fired")
          // Its host knows: nobody is told that it is ready.
          yield* World.until(readyz(host), (text) => text.includes("TRP0309"))
          yield* world.edge.start
        }
        for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, upTo(rounds))
        yield* exactly(world, keys, rounds)
        yield* World.until(
          () => fetch(`${host.url}/readyz`),
          ({ status }) => status === 200
        )
      }).pipe(Effect.scoped),
    180_000
  )
})

/** Somebody else, where the edge was. */
const listening = (url: string, answer: RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer(answer).listen(Number(new URL(url).port), "127.0.0.1", () =>
        resume(Effect.succeed(server))
      )
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

const test = (name: string, body: (world: World.EdgeWorld) => Effect.Effect<unknown, unknown, Client | Scope.Scope>) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const world = yield* World.atEdge("deno")
        yield* Effect.provide(body(world), world.client)
      }).pipe(Effect.scoped),
    90_000
  )

describe("an edge that is there", () => {
  test("refuses and fails in its own key's name: other keys go on", (world) =>
    Effect.gen(function* () {
      const host = yield* world.start({ parking: { attempts: 2, first: 50 } })
      const at = (key: string) => world.contract.Counter.at(key)
      const refused = yield* Effect.flip(ask(at("refused").add({ n: 1_001 })))
      assert.strictEqual(refused._tag, "TooMuch")
      rejected(yield* Effect.flip(ask(at("junk").junk())), "TRP0303")
      rejected(yield* Effect.flip(ask(at("none").abuse({ statement: "" }))), "TRP0301")
      // Three in place do not do: the fourth is a retry of what was parked.
      assert.strictEqual(yield* ask(at("flaky").flaky({ times: 4 }), { timeout: "50 seconds" }), 4)
      assert.strictEqual(yield* ask(at("sound").add({ n: 1 })), 1)
      const metrics = yield* Effect.promise(() => fetch(`${host.url}/metrics`).then((response) => response.text()))
      const calls = `troupe_edge_call_duration_seconds_count{consumer="${world.name}.Counter",outcome="answered"}`
      assert.isAbove(
        Number(
          metrics
            .split("\n")
            .find((line) => line.startsWith(calls))
            ?.split(" ")[1]
        ),
        5
      )
      for (const key of ["refused", "junk", "none"]) assert.strictEqual(yield* ask(at(key).add({ n: 1 })), 1)
    }))

  test("parks a message that fails, and behind it those of its key", (world) =>
    Effect.gen(function* () {
      yield* world.start({ parking: { attempts: 10, first: 500, factor: 1 } })
      const counter = world.contract.Counter.at("k")
      const parked = () => world.sql`select from troupe.parked`.then((rows) => rows.length)
      const flaky = yield* Effect.forkChild(ask(counter.flaky({ times: 10 }), { timeout: "50 seconds" }))
      yield* World.until(parked, (n) => n === 1)
      yield* send(counter.add({ n: 1 }))
      yield* World.until(parked, (n) => n === 2)
      assert.strictEqual(yield* ask(world.contract.Counter.at("other").add({ n: 2 })), 2)
      assert.strictEqual(yield* Fiber.join(flaky), 10)
      assert.strictEqual(yield* ask(counter.add({ n: 2 }), { timeout: "50 seconds" }), 3)
      assert.strictEqual(yield* Effect.promise(parked), 0)
    }))

  test("may stage more together than a call or a commit should carry", (world) =>
    Effect.gen(function* () {
      yield* world.start()
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => i),
        (i) => ask(world.contract.Counter.at(`big ${i}`).shout({ length: 900_000 }), { timeout: "50 seconds" }),
        { concurrency: "unbounded" }
      )
      yield* World.settled(world)
      const { state } = yield* Effect.promise(() => world.jsm.streams.info(`EVT_${world.name}`))
      assert.strictEqual(state.messages, 40)
    }))

  test("ends a handler that takes too long, and only its key waits", (world) =>
    Effect.gen(function* () {
      yield* world.start({ parking: { attempts: 1 } })
      const hanging = world.contract.Counter.at("hanging")
      rejected(yield* Effect.flip(ask(hanging.hang(), { timeout: "80 seconds" })), "TRP0302")
      assert.strictEqual(yield* ask(hanging.add({ n: 1 })), 1)
    }))

  test("sets timers and sends for its host, which keeps both", (world) =>
    Effect.gen(function* () {
      const host = yield* world.start()
      const counter = world.contract.Counter.at("k")
      yield* ask(counter.later({ name: "a", ms: 3_600_000, n: 100, then: "reply" }))
      yield* ask(counter.later({ name: "b", ms: 500, n: 1, then: "reply" }))
      yield* ask(counter.later({ name: "c", ms: 500, n: 10, then: "refuse" })).pipe(Effect.flip)
      yield* ask(counter.later({ name: "a", ms: null, n: 0, then: "reply" }))
      host.kill("SIGKILL")
      assert.isTrue(yield* world.edge.kill)
      yield* host.ended
      yield* Effect.all([world.edge.start, world.start()], { concurrency: 2 })
      yield* ask(counter.spread({ to: ["one", "two"] }))
      const log = () =>
        world.sql`select key, total from app.log order by key`.then((rows) => rows.map((row) => ({ ...row })))
      const wanted = [
        { key: "k", total: 1 },
        { key: "one", total: 1 },
        { key: "two", total: 1 }
      ]
      yield* World.until(log, (rows) => rows.length >= 3)
      yield* World.settled(world)
      assert.deepStrictEqual(yield* Effect.promise(log), wanted)
      assert.deepStrictEqual([...(yield* Effect.promise(() => world.sql`select name from troupe.timer`))], [])
    }))

  test("outlives a promise that a handler leaves behind and that is rejected", (world) =>
    Effect.gen(function* () {
      yield* world.start()
      yield* ask(world.contract.Counter.at("k").float())
      yield* World.until(
        () => Promise.resolve(world.edge.output()),
        (output) => output.includes("floated")
      )
      assert.strictEqual(yield* ask(world.contract.Counter.at("k").add({ n: 1 })), 1)
    }))
})

describe("an edge that is not there", () => {
  test("is not needed to answer what was handled; the rest waits, its host says so, and ends in time", (world) =>
    Effect.gen(function* () {
      const host = yield* world.start()
      const counter = world.contract.Counter.at("k")
      const id = crypto.randomUUID()
      assert.strictEqual(yield* ask(counter.add({ n: 5 }), { id }), 5)
      assert.isTrue(yield* world.edge.kill)
      assert.strictEqual(yield* ask(counter.add({ n: 5 }), { id }), 5)
      yield* send(counter.add({ n: 1 }))
      const text = yield* World.until(readyz(host), (text) => text.includes("TRP0309"))
      assert.include(text, "ECONNREFUSED")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* listening(world.edge.url, (_, response) => response.writeHead(409).end("it runs contract 7"))
          yield* World.until(readyz(host), (text) => text.includes("TRP0310") && text.includes("it runs contract 7"))
        })
      )
      assert.deepStrictEqual([...(yield* Effect.promise(() => world.sql`select 1 from troupe.parked`))], [])
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      assert.notInclude(host.output(), "took too long")
      yield* Effect.all([world.edge.start, world.start()], { concurrency: 2 })
      assert.strictEqual(yield* ask(counter.add({ n: 0 }), { timeout: "50 seconds" }), 6)
    }))

  test("though something is that hangs: its host ends in time all the same", (world) =>
    Effect.gen(function* () {
      let calls = 0
      assert.isTrue(yield* world.edge.kill)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* listening(world.edge.url, () => void calls++)
          const host = yield* world.start()
          yield* send(world.contract.Counter.at("k").add({ n: 5 }))
          yield* World.until(
            () => Promise.resolve(calls),
            (n) => n > 0
          )
          host.kill("SIGTERM")
          assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
          assert.notInclude(host.output(), "took too long")
        })
      )
      yield* Effect.all([world.edge.start, world.start()], { concurrency: 2 })
      assert.strictEqual(yield* ask(world.contract.Counter.at("k").add({ n: 0 }), { timeout: "50 seconds" }), 5)
    }))
})

it.live("a host whose edge cannot be called does not start, and says why", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const secrets = ["long enough to be a secret of a test"]
    const wrong = {
      "no url is set": { url: "", secrets },
      "its url cannot be read": { url: "edge", secrets },
      "its url begins with http://edge.test": { url: "http://edge.test/", secrets },
      "its url has a user": { url: "https://a:b@edge.test/", secrets },
      "no secret is set": { url: "https://edge.test/", secrets: [] },
      "a secret has at least 32 characters": { url: "https://edge.test/", secrets: ["short"] }
    }
    for (const [why, edge] of Object.entries(wrong)) {
      const host = Host.layer(counters(world.name, edge).service, {
        natsUrl: Redacted.make(world.natsUrl),
        databaseUrl: Redacted.make(world.databaseUrl),
        http: { host: "127.0.0.1", port: 0 }
      })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(host)))
      assert.include(
        error.message,
        `TRP0101 a setting is missing or wrong · the edge of ${world.name}.Counter · ${why}`
      )
    }
  }).pipe(Effect.scoped)
)
