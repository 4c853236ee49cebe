import { assert, it } from "@effect/vitest"
import { send } from "@troupe/client"
import { starve } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

/** So that a host that starves is soon taken for dead. */
const hasty = { heartbeat: "200 millis", lease: "1 second" } as const
const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
const many = 10_000
const few = 2_000

/** CPU time that hosts have used, in s. */
const cpuOf = async (hosts: ReadonlyArray<World.HostProcess>): Promise<number> => {
  const texts = await Promise.all(hosts.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()))
  return texts.reduce((sum, text) => sum + Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)![1]), 0)
}

it.live(
  "hosts with a quarter of a core each work off 10,000 messages: nothing is taken over, and CPU time is not wasted",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const { sql } = world
      const hosts = yield* Effect.all([world.start(hasty), world.start(hasty)], { concurrency: 2 })
      yield* World.until(
        async () => (await sql`select host from troupe.partition where host is not null group by 1`).length,
        (owners) => owners === 2
      )
      const logged = async () => (await sql`select count(*)::int as n from app.log`)[0]!["n"] as number
      const cpu = Effect.promise(() => cpuOf(hosts))
      const add = (count: number) =>
        Effect.forEach(
          Array.from({ length: count }, (_, i) => world.contract.Counter.at(keys[i % keys.length]!).add({ n: 1 })),
          (message) => send(message),
          { concurrency: 500, discard: true }
        )
      const through = (count: number) =>
        Effect.gen(function* () {
          const before = { cpu: yield* cpu, logged: yield* Effect.promise(logged) }
          yield* Effect.provide(add(count), world.client)
          yield* Effect.promise(logged).pipe(
            Effect.repeat({ until: (n) => n >= before.logged + count }),
            Effect.timeout("4 minutes")
          )
          return count / ((yield* cpu) - before.cpu)
        })
      // What was compiled once is not compiled again.
      yield* through(few)
      const whole = yield* through(few)
      const epochs = () => sql`select consumer, p, epoch from troupe.partition order by 1, 2`
      const before = yield* Effect.promise(epochs)
      const { stops } = yield* starve(
        hosts.map(({ pid }) => pid),
        0.25
      )
      const starved = yield* through(many)
      assert.isAbove(stops(), 50, "the fault fired")
      assert.deepStrictEqual([...(yield* Effect.promise(epochs))], [...before], "nothing was taken over or taken again")
      assert.isAbove(starved, whole / 2, "messages for each second of CPU time")
    }).pipe(Effect.scoped),
  360_000
)
