import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { assert, it } from "@effect/vitest"
import { ask, type ClientError, send } from "@troupe/client"
import { Key } from "@troupe/contract"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

/** Keys of one partition, the first one's. */
const [first = "", second = "", third = ""] = Array.from({ length: 1_000 }, (_, i) => `k${i}`).filter(
  (key) => Key.partition(key, 16) === Key.partition("k0", 16)
)

it.live(
  "dead letters are bounded: operators are told before, refused messages are counted beyond it, and failed ones stay until there is room",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      // Five in each of 16 partitions.
      const host = yield* world.start({
        deadLetters: { messages: 80, bytes: 16 * 1024 ** 2 },
        parking: { attempts: 1, first: 500, longest: 500 }
      })
      const actor = `${world.name}.Counter`
      const letters = () => Effect.runPromise(DeadLetters.list(world.sql))
      const refused = (n: number) =>
        Effect.promise(async () => {
          for (let i = 0; i < n; i++) {
            const all = headers()
            for (const [name, value] of [
              ["ce-id", crypto.randomUUID()],
              ["ce-type", `${actor}.add`],
              ["ce-source", "test"]
            ] as const)
              all.set(name, value)
            await jetstream(world.nats).publish(`cmd.${world.name}.Counter.add.${first}`, `{"n":"one"}`, {
              headers: all
            })
          }
        })
      const health = async () => JSON.stringify(await (await fetch(`${host.url}/readyz`)).json())
      const metric = async (name: string) => {
        const text = await (await fetch(`${host.url}/metrics`)).text()
        return Number(
          text
            .split("\n")
            .find((line) => line.startsWith(`${name}{consumer="${actor}"} `))
            ?.split(" ")
            .at(-1)
        )
      }
      const summary = async () => (await letters()).filter(({ code }) => code === "TRP0323").map(({ reason }) => reason)
      const counts = async () => (await letters()).map(({ code }) => code).filter((code) => code !== "TRP0323").length

      // Told before: four of five.
      yield* refused(4)
      yield* World.until(counts, (n) => n === 4)
      yield* World.until(health, (text) => text.includes(`TRP0519`) && text.includes("4 of 5 messages"))
      yield* World.until(
        () => metric("troupe_dead_letters_fullest"),
        (share) => share === 0.8
      )
      assert.strictEqual(yield* Effect.promise(() => metric("troupe_dead_letters")), 4)
      assert.deepStrictEqual(yield* Effect.promise(summary), [])

      // Beyond it: counted, in one letter.
      yield* refused(5)
      yield* World.until(summary, ([reason]) => reason?.startsWith("4 of TRP0201; the last was ") === true)
      yield* refused(2)
      yield* World.until(summary, ([reason]) => reason?.startsWith("6 of TRP0201; the last was ") === true)
      assert.lengthOf(yield* Effect.promise(letters), 6)
      yield* World.until(
        () => metric("troupe_dead_letters_fullest"),
        (share) => share === 1
      )
      assert.match(host.output(), /WARN.*TRP0519 dead letters fill their room, or have filled it/)

      yield* Effect.gen(function* () {
        // A failed message of which nobody is told waits for room, and holds up its own key alone.
        const { Counter } = world.contract
        yield* send(Counter.at(first).flaky({ times: 1_000_000 }))
        const parked = () => world.sql`select attempts from troupe.parked`
        yield* World.until(parked, ([row]) => Number(row?.["attempts"]) >= 2)
        assert.strictEqual(yield* ask(Counter.at(second).add({ n: 1 })), 1)
        // One whose caller is told needs no letter.
        const { reason } = (yield* Effect.flip(ask(Counter.at(third).flaky({ times: 1_000_000 })))) as ClientError
        assert.deepInclude(reason, { _tag: "Rejected", code: "TRP0301" })
        yield* World.until(summary, ([text]) => text?.startsWith("6 of TRP0201, 1 of TRP0301; ") === true)
        assert.notInclude(
          (yield* Effect.promise(letters)).map(({ code }) => code),
          "TRP0301"
        )

        const oldest = (yield* Effect.promise(letters)).at(-1)!
        yield* DeadLetters.discard(world.sql, oldest.id, { by: "test" })
        const given = yield* World.until(letters, (all) => all.some(({ code }) => code === "TRP0301"))
        const letter = given.find(({ code }) => code === "TRP0301")!
        assert.strictEqual(letter.key, first)
        assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(letter.body)), { times: 1_000_000 })
        yield* World.until(parked, (rows) => rows.length === 0)
        assert.strictEqual(yield* ask(Counter.at(first).add({ n: 1 })), 1, "its key goes on")
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  90_000
)
