import { jetstreamManager } from "@nats-io/jetstream"
import { assert, it } from "@effect/vitest"
import { after, askWithToken } from "@troupe/client"
import * as Effect from "effect/Effect"
import { broker } from "./src/setBack.ts"
import * as World from "./src/world.ts"

const add = (world: World.World) =>
  askWithToken(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" })
const caughtUp = (world: World.World, token: string) => after(token, `${world.name}.log`, { timeout: "30 seconds" })
const shown = ({ sql }: World.World) =>
  Effect.promise(async () => {
    const [row] = await sql`select coalesce(max(total), 0) as total from app.log`
    return row!["total"] as number
  })

it.live(
  "a stream that is set back makes nobody see less than was written, and nobody wait for ever",
  () =>
    Effect.gen(function* () {
      const server = yield* broker
      const world = yield* World.on({ natsUrl: server.url, adminUrl: process.env["DATABASE_URL"]! })
      yield* world.start({ lookEvery: 200 })
      yield* Effect.gen(function* () {
        for (let i = 0; i < 3; i++) yield* add(world)
        yield* server.keep
        for (let i = 0; i < 2; i++) yield* add(world)
        const { token: before } = yield* add(world)
        yield* caughtUp(world, before)
        const left = yield* server.setBack(async (nats) => {
          const { state } = await (await jetstreamManager(nats)).streams.info(`EVT_${world.name}`)
          return state.messages
        }, `EVT_${world.name}`)
        assert.isBelow(left, 6, "it was set back")
        for (let i = 0; i < 10; i++) {
          const { reply, token } = yield* add(world)
          yield* caughtUp(world, token)
          assert.isAtLeast(yield* shown(world), reply)
        }
        // Its events were filled in and read again.
        yield* caughtUp(world, before)
        const rows = yield* Effect.promise(() => world.sql`select total from app.log order by id`)
        assert.deepStrictEqual(
          rows.map(({ total }) => total),
          Array.from({ length: 16 }, (_, i) => i + 1),
          "each once"
        )
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "what retention deleted before it was read is not said to be handled, until the subscriber has passed the gap",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const stream = `EVT_${world.name}`
      const host = yield* world.start({ heartbeat: "100 millis", lease: "1 second" })
      yield* Effect.gen(function* () {
        yield* caughtUp(world, (yield* add(world)).token)
        const held = yield* Effect.promise(() => world.sql.reserve())
        yield* Effect.promise(() => held.unsafe("begin; lock table app.log in access exclusive mode"))
        const { token: deleted } = yield* add(world)
        yield* World.until(
          () => world.sql`select sequence::int from troupe.watermark where stream = ${stream}`,
          (rows) => rows[0]?.["sequence"] === 2
        )
        host.kill("SIGKILL")
        yield* host.ended
        yield* Effect.promise(async () => {
          const { purged } = await world.jsm.streams.purge(stream)
          assert.strictEqual(purged, 2, "the fault fired")
          await held.unsafe("rollback")
          held.release()
        })
        yield* world.start({ heartbeat: "100 millis", lease: "1 second" })
        yield* World.until(
          () => world.sql`select code from troupe.dead`,
          (rows) => rows.some(({ code }) => code === "TRP0407")
        )
        const early = yield* Effect.flip(after(deleted, `${world.name}.log`, { timeout: "500 millis" }))
        assert.strictEqual(early.reason._tag, "TimedOut", early.message)
        assert.strictEqual(yield* shown(world), 1)
        const { reply, token } = yield* add(world)
        yield* caughtUp(world, token)
        assert.strictEqual(yield* shown(world), reply)
        yield* caughtUp(world, deleted)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)
