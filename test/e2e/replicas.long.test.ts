import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { cluster } from "@troupe/test-world/cluster"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

const main = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url))

/** Has the CLI give all streams of a service so many replicas. */
const setReplicas = ({ name, natsUrl }: World.World, replicas: number) =>
  Effect.promise(async () => {
    const flags = ["--service", name, "--replicas", String(replicas), "--nats-url", natsUrl, "--json"]
    const args = ["--conditions=@troupe/source", main, "streams", "set", ...flags]
    const { streams } = JSON.parse((await promisify(execFile)(process.execPath, args)).stdout)
    return streams.map((one: { stream: string; replicas: number }) => [one.stream, one.replicas])
  })

/** How the relay publishes: see `relay.integration.test.ts`. */
const modes = [
  ["fast ingest", {}],
  ["atomic batches", { fastIngest: false }],
  ["single messages", { fastIngest: false, atomicBatch: false }]
] as const

it.live(
  "on three replicas, which the CLI sets and takes back, a service answers each ask once over the death of its streams' leaders, in every mode of the relay",
  () =>
    Effect.gen(function* () {
      const servers = yield* cluster({ servers: 3 })
      for (const [mode, capabilities] of modes) {
        yield* Effect.gen(function* () {
          const world = yield* World.on({ natsUrl: servers.url, adminUrl: process.env["DATABASE_URL"]! })
          const streams = ["CMD", "EVT", "PLACE"].map((kind) => `${kind}_${world.name}`)
          yield* world.start({ capabilities, limits: { maxBytes: 16 * 1024 ** 2 } })
          assert.deepStrictEqual(
            yield* setReplicas(world, 3),
            streams.map((stream) => [stream, 3])
          )
          for (const stream of streams) yield* servers.caughtUp(stream)

          const keys = 20
          let answered = 0
          const faults = { over: false }
          const asking = yield* Effect.forEach(
            Array.from({ length: keys }, (_, key) => key),
            (key) =>
              Effect.gen(function* () {
                for (let round = 1; !faults.over; round++) {
                  const total = yield* ask(world.contract.Counter.at(`k${key}`).add({ n: 1 }), {
                    timeout: "60 seconds"
                  })
                  assert.strictEqual(total, round, `${mode}: each ask is handled once`)
                  answered++
                }
              }),
            { concurrency: "unbounded", discard: true }
          ).pipe(Effect.provide(world.client), Effect.forkChild)
          const some = (count: number) =>
            World.until(
              async () => answered,
              (n) => n >= count
            )
          yield* some(20)
          // The faults, under way.
          yield* servers.stepDown(`EVT_${world.name}`)
          yield* some(answered + 20)
          const leader = yield* servers.leaderOf(`CMD_${world.name}`)
          yield* servers.kill(leader)
          // Without the leader, and while another one is elected.
          yield* some(answered + 20)
          faults.over = true
          yield* Fiber.join(asking)
          yield* World.settled(world)
          const { state } = yield* Effect.promise(() => world.jsm.streams.info(`EVT_${world.name}`))
          assert.strictEqual(state.messages, answered, `${mode}: no event is lost or there twice`)

          yield* servers.restart(leader)
          for (const stream of streams) yield* servers.caughtUp(stream)
          assert.deepStrictEqual(
            yield* setReplicas(world, 1),
            streams.map((stream) => [stream, 1])
          )
          const totals = Effect.forEach(Array.from({ length: keys }), (_, key) =>
            ask(world.contract.Counter.at(`k${key}`).add({ n: 0 }), { timeout: "60 seconds" })
          )
          const sum = (yield* Effect.provide(totals, world.client)).reduce((all, total) => all + total, 0)
          assert.strictEqual(sum, answered, `${mode}: each ask counts once`)
        }).pipe(Effect.scoped)
      }
    }).pipe(Effect.scoped),
  400_000
)
