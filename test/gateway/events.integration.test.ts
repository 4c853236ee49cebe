import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Orders } from "@shop/orders"
import { layer as client } from "@troupe/client/node"
import { Gateway } from "@troupe/gateway"
import { serve } from "@troupe/gateway/node"
import { until } from "@troupe/test-world"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Listener, numbersOf, placeOf, sluggish } from "./src/listener.ts"
import { curl, secret, token, World } from "./src/world.ts"

const path = "/v1/orders/events?actor=Order&event=cancelled"
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
const bearer = Effect.promise(() => token("ada", "hear:orders metrics"))

/** That nats-server refused nobody what his code does. */
const allowed = Effect.map(World, ({ nats }) => assert.notMatch(readFileSync(nats.log, "utf8"), /violation/i))

layer(World.layer, { excludeTestServices: true, timeout: 60_000 })("events over HTTP", (it) => {
  const listener = (url: string, place?: string) =>
    Effect.flatMap(bearer, (ada) =>
      Effect.acquireRelease(
        Effect.sync(() => new Listener(`${url}${path}`, ada, place)),
        (one) => Effect.promise(() => one[Symbol.asyncDispose]())
      )
    )
  const heard = (one: Listener, last: number) =>
    until(
      async () => one.numbers.at(-1),
      (n) => n === last
    )

  it.effect("go on without a gap or a repeat, though the gateway is killed and restarted meanwhile", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      let gateway = yield* world.gateway()
      const { port } = new URL(gateway.url)
      const one = yield* listener(gateway.url)
      yield* until(
        async () => one.connections,
        (n) => n === 1
      )
      for (const [round, signal] of (["SIGKILL", "SIGTERM", "SIGKILL"] as const).entries()) {
        const first = round * 200 + 1
        yield* world.emit(first, first + 99)
        gateway.kill(signal)
        // Said while there is no gateway.
        yield* world.emit(first + 100, first + 199)
        const [took] = yield* Effect.timed(gateway.ended)
        // Event streams do not hold it until its 10 seconds are over.
        assert.isBelow(Duration.toMillis(took), 9_000)
        gateway = yield* world.gateway(port)
        yield* until(
          async () => one.connections,
          (n) => n === round + 2
        )
      }
      yield* world.emit(601, 650)
      yield* heard(one, 650)
      assert.deepStrictEqual(one.numbers, upTo(650))

      // Who left before the first event misses none either.
      const two = yield* listener(gateway.url)
      yield* until(
        async () => two.place,
        (place) => place !== ""
      )
      yield* Effect.promise(() => two[Symbol.asyncDispose]())
      assert.deepStrictEqual(two.numbers, [])
      yield* world.emit(651, 660)
      const three = yield* listener(gateway.url, two.place)
      yield* heard(three, 660)
      assert.deepStrictEqual(three.numbers, upTo(660, 651))
    })
  )

  it.effect("are for curl, too, of one key and from the start", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      const { url } = yield* world.gateway()
      const ada = yield* bearer
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("curl", ["-sN", "-H", `Authorization: Bearer ${ada}`, `${url}${path}&key=k-3&from=start`])
        ),
        (child) => Effect.sync(() => child.kill())
      )
      let out = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
      const numbers = () => [...out.matchAll(/"reason":"(\d+) /g)].map(([, n]) => Number(n))
      yield* until(
        async () => numbers(),
        (seen) => seen.length >= 94
      )
      assert.deepStrictEqual(
        numbers(),
        upTo(660).filter((n) => n % 7 === 3)
      )
    })
  )

  it.effect("of a reader that takes nothing end, and it goes on where it was", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      const declared = Gateway.make({
        contracts: [Orders],
        auth: { secret },
        limits: { stalled: 300, streams: { perPrincipal: 1, all: 1 } }
      })
      const url = yield* serve(declared, {
        host: "127.0.0.1",
        port: 0,
        client: client({ servers: world.nats.url, user: "gateway", pass: "secret", inboxPrefix: "_INBOX.gateway" })
      })
      const ada = yield* bearer
      const slow = yield* sluggish(`${url}${path}`, ada)
      const open = async () =>
        Number(
          /troupe_gateway_streams (\d+)/.exec(
            (await curl("-H", `Authorization: Bearer ${ada}`, `${url}/metrics`)).body
          )?.[1]
        )
      assert.strictEqual(yield* Effect.promise(open), 1)
      // More than the buffers of two sockets take.
      yield* world.emit(1_001, 1_200, "x".repeat(100_000))
      yield* until(open, (n) => n === 0)
      const frames = yield* slow.rest
      const before = frames.flatMap(numbersOf)
      assert.isBelow(before.length, 200, "it was closed in the middle")
      const next = yield* listener(url, frames.map(placeOf).at(-1))
      yield* heard(next, 1_200)
      assert.deepStrictEqual([...before, ...next.numbers], upTo(1_200, 1_001))
    })
  )

  it.effect("that are not there any more are 410", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      const { url } = yield* world.gateway()
      const one = yield* listener(url)
      yield* until(
        async () => one.place,
        (place) => place !== ""
      )
      const { place } = one
      yield* world.emit(2_001, 2_010)
      yield* heard(one, 2_010)
      yield* world.purge
      const late = yield* listener(url, place)
      yield* until(
        async () => late.refused,
        (status) => status !== 0
      )
      assert.strictEqual(late.refused, 410)
      yield* allowed
    })
  )
})
