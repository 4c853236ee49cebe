import { existsSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Orders } from "@shop/orders"
import packed from "@sparticuz/chromium"
import { layer as client } from "@troupe/client/node"
import { Gateway } from "@troupe/gateway"
import { serve } from "@troupe/gateway/node"
import { until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import { chromium } from "playwright-core"
import { World } from "./src/world.ts"

/** Where it may be installed; else the packed one is unpacked into the folder for temporary files, once. */
const installed = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]

/** What the page's own EventSource is and has heard. */
interface State {
  /** 0 connecting, 1 open, 2 closed for good. */
  readonly readyState: number
  readonly opened: number
  readonly failed: number
  readonly numbers: ReadonlyArray<number>
}

/** A page of the gateway, in Chromium. Each `listen` opens an EventSource there; it answers how that stands. */
const browse = (url: string) =>
  Effect.gen(function* () {
    const executablePath =
      installed.find((path) => existsSync(path)) ?? (yield* Effect.promise(() => packed.executablePath()))
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] })),
      (browser) => Effect.promise(() => browser.close())
    )
    const page = yield* Effect.promise(() => browser.newPage())
    // Its own page: whoever reads it tries the example of an EventSource in the console there.
    yield* Effect.promise(() => page.goto(url))
    const run = <A>(script: string) => page.evaluate<A>(script)
    return {
      listen: (name: string) =>
        Effect.as(
          Effect.promise(() =>
            run<void>(`{
              const source = new EventSource("/v1/orders/events?actor=Order&event=cancelled")
              const state = { source, opened: 0, failed: 0, numbers: [] }
              globalThis.${name} = state
              source.onopen = () => state.opened++
              source.onerror = () => state.failed++
              source.addEventListener("orders.Order.cancelled", ({ data }) =>
                state.numbers.push(Number.parseInt(JSON.parse(data).data.reason, 10)))
            }`)
          ),
          () =>
            run<State>(`(({ source, ...rest }) => ({ readyState: source.readyState, ...rest }))(globalThis.${name})`)
        ),
      leave: (name: string) => Effect.promise(() => run<void>(`globalThis.${name}.source.close()`))
    }
  })

const isOpen = ({ readyState }: State): boolean => readyState === 1

layer(World.layer, { excludeTestServices: true, timeout: 60_000 })("an EventSource in Chromium", (it) => {
  it.effect(
    "goes on through restarts of the gateway, and misses and repeats nothing",
    () =>
      Effect.gen(function* () {
        const world = yield* World
        yield* world.orders
        const open = { TROUPE_JWT_SECRET: "", TROUPE_AUTH: "none" }
        let gateway = yield* world.gateway("0", open)
        const { port } = new URL(gateway.url)
        const page = yield* browse(gateway.url)
        const state = yield* page.listen("all")
        yield* until(state, isOpen)
        for (let round = 0; round < 3; round++) {
          const first = round * 30 + 1
          yield* world.emit(first, first + 9)
          gateway.kill("SIGTERM")
          yield* world.emit(first + 10, first + 19)
          yield* gateway.ended
          gateway = yield* world.gateway(port, open)
          yield* world.emit(first + 20, first + 29)
          yield* until(state, ({ numbers, readyState }) => readyState === 2 || numbers.at(-1) === first + 29)
        }
        const { failed, numbers, readyState } = yield* Effect.promise(state)
        assert.strictEqual(readyState, 1)
        assert.isAtLeast(failed, 3, "it lost its connection each time")
        assert.deepStrictEqual(
          numbers,
          Array.from({ length: 90 }, (_, i) => i + 1)
        )
      }).pipe(Effect.scoped),
    120_000
  )

  it.effect(
    "comes back by itself after it was one too many, and hears what is said then",
    () =>
      Effect.gen(function* () {
        const world = yield* World
        yield* world.orders
        const url = yield* serve(
          Gateway.make({ contracts: [Orders], auth: "none", limits: { streams: { perPrincipal: 1, all: 1 } } }),
          {
            host: "127.0.0.1",
            port: 0,
            client: client({ servers: world.nats.url, user: "gateway", pass: "secret", inboxPrefix: "_INBOX.gateway" })
          }
        )
        const page = yield* browse(url)
        const first = yield* page.listen("first")
        yield* until(first, isOpen)
        const second = yield* page.listen("second")
        const refused = yield* until(second, ({ failed }) => failed > 0)
        assert.strictEqual(refused.readyState, 0, "it will try again")
        yield* page.leave("first")
        yield* until(second, ({ opened, readyState }) => readyState === 1 && opened > refused.opened)
        yield* world.emit(1_001, 1_003)
        const { numbers } = yield* until(second, ({ numbers }) => numbers.length === 3)
        assert.deepStrictEqual(numbers, [1_001, 1_002, 1_003])
      }).pipe(Effect.scoped),
    120_000
  )
})
