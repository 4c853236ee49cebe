import { setImmediate } from "node:timers/promises"
import { DiscardPolicy } from "@nats-io/jetstream"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Outbox from "./src/outbox.ts"
import { until } from "./src/world.ts"

const { commands, events, lane } = Outbox
const targetLane = "cmd.target.0.>"

/** How the relay publishes, what the server is said to lack, and how many messages a key it has to publish at once. */
const modes = [
  ["fast ingest", {}, 40],
  ["atomic batches", { fastIngest: false }, 40],
  ["single messages", { fastIngest: false, atomicBatch: false }, 4]
] as const

const keys = Array.from({ length: 48 }, (_, i) => `k${i}`)

/** First appearances of a key that come before an earlier one of it: bodies are numbers, in the order of commits. */
const inversions = (seen: ReadonlyArray<Outbox.Seen>): number => {
  const next = new Map<string, number>()
  let found = 0
  for (const { body, key } of seen) {
    const n = next.get(key) ?? 0
    if (Number(body) > n) found++
    if (Number(body) >= n) next.set(key, Number(body) + 1)
  }
  return found
}
const ids = (seen: ReadonlyArray<Outbox.Seen>) => seen.map(({ id }) => id)
const distinct = (seen: ReadonlyArray<Outbox.Seen>) => [...new Set(ids(seen))]

/** Waits until the stream has `count` different messages, and answers all that it has. */
const drained = (outbox: Outbox.Outbox, stream: string, filter: string, count: number) =>
  until(
    () => outbox.read(stream, filter).catch(() => []),
    (seen) => distinct(seen).length >= count
  )

/** Rows of all keys in turn, each as an event and as a command. */
const rows = (rounds: number) =>
  Array.from({ length: rounds }).flatMap(() =>
    keys.flatMap((key) => [
      { to: "event", key },
      { to: commands, key }
    ])
  )

describe.each(modes)("by %s", (_, lowered, rounds) => {
  it.live(
    "nothing is lost or out of order while nats-server is killed again and again, and no event is there twice",
    () =>
      Effect.gen(function* () {
        const outbox = yield* Outbox.make(lowered)
        const { commit, relay } = yield* outbox.own
        const sent: Array<string> = []
        let kills = 0
        while (kills < 6) {
          sent.push(...(yield* commit(rows(rounds))))
          const all = relay.backlog()
          while (relay.backlog() === all) yield* Effect.promise(() => setImmediate())
          assert.isAbove(relay.backlog(), 0, "messages are on their way")
          yield* outbox.nats.kill("SIGKILL")
          kills++
          sent.push(...(yield* commit(rows(1))))
          yield* Effect.orDie(outbox.nats.restart)
        }
        const own = yield* drained(outbox, events, lane, sent.length / 2)
        const others = yield* drained(outbox, commands, targetLane, sent.length / 2)
        assert.deepStrictEqual([...ids(own), ...distinct(others)].sort(), [...sent].sort())
        assert.strictEqual(inversions(own), 0)
        assert.strictEqual(inversions(others), 0)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "what the stream has already, and what it will never take, stops nothing",
    () =>
      Effect.gen(function* () {
        const outbox = yield* Outbox.make(lowered)
        yield* Effect.promise(() => outbox.streams.delete(commands))
        const { commit, relay } = yield* outbox.own
        const few = keys.slice(0, 8).flatMap((key) => Array.from({ length: 15 }, () => ({ to: commands, key })))
        const large = few.map((row, i) => (i === 20 ? { ...row, body: "x".repeat(5_000) } : row))
        const sent = yield* commit(large)
        // The stream is not there yet: the test puts some of the messages into it first.
        yield* Effect.promise(() => outbox.streams.add(commands, { max_msg_size: 4_096, allow_atomic: true }))
        for (const i of [0, 7, 8]) {
          yield* Effect.promise(() => outbox.publish(`cmd.target.Other.act.${few[i]!.key}`, sent[i]!, "first"))
        }
        const seen = yield* drained(outbox, commands, "cmd.target.>", sent.length - 1)
        assert.deepStrictEqual(ids(seen).sort(), sent.filter((_, i) => i !== 20).sort(), "each once, but the large one")
        const ours = seen.filter(({ body }) => body !== "first" && body !== "x")
        for (const key of keys.slice(0, 8)) {
          const numbers = ours.filter((one) => one.key === key).map(({ body }) => Number(body))
          assert.deepStrictEqual(
            numbers,
            numbers.toSorted((a, b) => a - b)
          )
        }
        const dead = yield* Effect.promise(() => outbox.sql`select message_id from troupe.dead`)
        assert.deepStrictEqual(
          dead.map((row) => row["message_id"]),
          [sent[20]]
        )
        assert.strictEqual(relay.backlog(), 0)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "a stream that is full gets none of a key's messages before an earlier one of it",
    () =>
      Effect.gen(function* () {
        const outbox = yield* Outbox.make(lowered)
        const full = { max_bytes: 4_000, discard: DiscardPolicy.New, allow_atomic: true }
        yield* Effect.promise(() => outbox.streams.add("CMD_full", full))
        const { commit, relay } = yield* outbox.own
        const small = Array.from({ length: 120 }, () => ({ to: "CMD_full", key: "a", body: "x" }))
        const sent = yield* commit([small[0]!, { ...small[0]!, body: "x".repeat(5_000) }, ...small])
        yield* until(
          async () => relay.backlog(),
          (n) => n === 0
        )
        const before = yield* Effect.promise(() => outbox.read("CMD_full", "cmd.full.>"))
        assert.isBelow(before.length, 2, "it was refused")
        yield* Effect.promise(() => outbox.streams.update("CMD_full", { max_bytes: 1024 ** 2 }))
        const seen = yield* drained(outbox, "CMD_full", "cmd.full.>", sent.length)
        assert.deepStrictEqual(ids(seen), sent)
      }).pipe(Effect.scoped),
    60_000
  )
})

it.live(
  "while others hold all batches that the server allows, everything is relayed by single messages, in order, and each once",
  () =>
    Effect.gen(function* () {
      const targets = ["evt.source.Thing.done", "cmd.target.Other.act"]
      const cases = [
        [{}, ["atomic", "ingest"]],
        [{ fastIngest: false }, ["atomic"]]
      ] as const
      for (const [lowered, kinds] of cases) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const outbox = yield* Outbox.make(lowered)
            const { heard, isFull } = yield* outbox.crowd(targets, kinds)
            assert.isTrue(yield* Effect.promise(isFull))
            const { commit, relay } = yield* outbox.own
            const sent = yield* commit(rows(10))
            yield* until(
              async () => relay.backlog(),
              (n) => n === 0
            )
            assert.isTrue(yield* Effect.promise(isFull), "to the end")
            const ofRelay = (seen: ReadonlyArray<Outbox.Seen>) => seen.filter(({ id }) => id !== "")
            const own = ofRelay(yield* Effect.promise(() => outbox.read(events, lane)))
            const others = ofRelay(yield* Effect.promise(() => outbox.read(commands, targetLane)))
            assert.deepStrictEqual(ids([...own, ...others]).sort(), [...sent].sort())
            assert.deepStrictEqual([inversions(own), inversions(others)], [0, 0])
            assert.isAbove(heard.batched, 0, "it tried a batch")
            assert.isBelow(heard.messages, 10 * sent.length, "and then not again and again")
          })
        )
      }
    }),
  60_000
)

describe("a broker that comes back with less than it acknowledged", () => {
  it.live(
    "is filled again in order, though others have written to it first and nothing new is committed",
    () =>
      Effect.gen(function* () {
        const outbox = yield* Outbox.make()
        const { commit } = yield* outbox.own
        const sent = [...(yield* commit(rows(4)))]
        yield* drained(outbox, events, lane, 4 * keys.length)
        yield* drained(outbox, commands, targetLane, 4 * keys.length)
        yield* outbox.save
        sent.push(...(yield* commit(rows(3))))
        yield* drained(outbox, events, lane, 7 * keys.length)
        yield* drained(outbox, commands, targetLane, 7 * keys.length)
        const refill = Effect.promise(async () => {
          // Past the sequence that the relay knows as its last.
          for (let i = 0; i < 4 * keys.length; i++) {
            await outbox.publish(`cmd.target.Elsewhere.act.k${i}`, `other-${i}`, "x")
            await outbox.publish(`evt.${Outbox.service}.Elsewhere.done.k${i}`, `other-${i}`, "x")
          }
        })
        yield* outbox.setBack
        assert.isBelow(
          distinct(yield* Effect.promise(() => outbox.read(events, lane))).length,
          7 * keys.length,
          "the fault fired"
        )
        yield* refill
        const own = yield* drained(outbox, events, lane, 7 * keys.length)
        const others = yield* drained(outbox, commands, "cmd.target.0.Other.>", 7 * keys.length)
        assert.deepStrictEqual([...ids(own), ...distinct(others)].sort(), [...sent].sort())
        assert.strictEqual(inversions(own) + inversions(others), 0)
      }).pipe(Effect.scoped),
    60_000
  )

  for (const deleted of [false, true]) {
    it.live(
      `${deleted ? "or whose streams were deleted and made anew" : "while nobody was the owner"} is filled again at the next take-over, before anything newer`,
      () =>
        Effect.gen(function* () {
          const outbox = yield* Outbox.make()
          yield* outbox.save
          const first = yield* Scope.make()
          const before = yield* Scope.provide(outbox.own, first)
          const sent = [...(yield* before.commit(rows(3)))]
          yield* drained(outbox, events, lane, 3 * keys.length)
          yield* drained(outbox, commands, targetLane, 3 * keys.length)
          yield* until(
            () => outbox.sql`select from troupe.watermark where pos >= ${sent.length - 1}`,
            (rows) => rows.length === 2
          )
          yield* Scope.close(first, Exit.void)
          if (deleted) {
            yield* Effect.promise(() => outbox.streams.delete(commands))
            yield* Effect.promise(() => outbox.streams.add(commands))
          } else yield* outbox.setBack
          const { commit } = yield* outbox.own
          sent.push(...(yield* commit([{ to: commands, key: "new" }])))
          const filter = deleted ? "cmd.target.>" : targetLane
          const others = yield* drained(outbox, commands, filter, 3 * keys.length + 1)
          assert.strictEqual(others.at(-1)!.key, "new")
          const own = yield* drained(outbox, events, lane, 3 * keys.length)
          assert.deepStrictEqual([...ids(own), ...distinct(others)].sort(), [...sent].sort())
          assert.strictEqual(inversions(own) + inversions(others), 0)
        }).pipe(Effect.scoped),
      60_000
    )
  }
})

it.live(
  "a destination that is down stops only itself",
  () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.make()
      const { commit, relay } = yield* outbox.own
      // More than memory holds, so that it is read from the table as well.
      const dead = yield* commit(Array.from({ length: 12_000 }, () => ({ to: "CMD_later", key: "a" })))
      const sent = yield* commit(rows(30))
      const own = yield* drained(outbox, events, lane, 30 * keys.length)
      const others = yield* drained(outbox, commands, targetLane, 30 * keys.length)
      assert.deepStrictEqual([...ids(own), ...ids(others)].sort(), [...sent].sort())
      assert.strictEqual(relay.backlog(), 0, "what goes to a stream that is down is no reason to wait")
      yield* relay.room
      yield* Effect.promise(() => outbox.streams.add("CMD_later"))
      const late = yield* drained(outbox, "CMD_later", "cmd.later.>", dead.length)
      assert.deepStrictEqual(ids(late), dead)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "who is no longer the owner makes no dead letter of what the next one publishes",
  () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.make()
      const { sql } = outbox
      const sent = yield* (yield* outbox.own).commit([{ to: "CMD_small", key: "a", body: "x".repeat(5_000) }])
      yield* Effect.promise(() =>
        sql.begin(async (tx) => {
          // Somebody takes the partition, while the stream refuses the message to its owner.
          await tx`select from troupe.partition for update`
          await tx`update troupe.partition set token = gen_random_uuid()`
          await outbox.streams.add("CMD_small", { max_msg_size: 1_000 })
          await Effect.runPromise(
            until(
              () => sql`select from troupe.dead union all select from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock' and query like '%troupe.dead%'`,
              (tries) => tries.length > 0
            )
          )
        })
      )
      yield* Effect.promise(() => outbox.streams.update("CMD_small", { max_msg_size: -1 }))
      yield* outbox.own
      assert.deepStrictEqual(ids(yield* drained(outbox, "CMD_small", "cmd.small.>", 1)), sent)
      assert.isEmpty(yield* Effect.promise(() => sql`select from troupe.dead`))
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a stream that took nothing of what was for it is not said to have lost anything",
  () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const given = (times: number) =>
      until(
        async () => lines.filter((line) => line.includes("TRP0207")),
        (found) => found.length >= times
      )
    return Effect.gen(function* () {
      const outbox = yield* Outbox.make()
      yield* Effect.promise(() => outbox.streams.add("CMD_small", { max_msg_size: 1_000 }))
      const first = yield* Scope.make()
      const { commit } = yield* Scope.provide(outbox.own, first)
      yield* commit([{ to: "CMD_small", key: "a", body: "x".repeat(5_000) }])
      yield* given(1)
      const written = yield* until(
        () => outbox.sql`select pos, sequence from troupe.watermark`,
        (rows) => rows.length === 1
      )
      assert.deepStrictEqual([...written], [{ pos: "1", sequence: "0" }])
      yield* Scope.close(first, Exit.void)
      yield* outbox.own
      yield* given(2)
      assert.isEmpty(lines.filter((line) => line.includes("TRP0411")))
      assert.lengthOf(yield* Effect.promise(() => outbox.sql`select from troupe.dead`), 1)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
  },
  60_000
)

it.live(
  "a stream that was set back and has an earlier message of the outbox where the last one was gets all of them again",
  () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.make()
      yield* outbox.save
      const first = yield* Scope.make()
      const before = yield* Scope.provide(outbox.own, first)
      const sent = yield* before.commit(keys.slice(0, 10).map((key) => ({ to: commands, key })))
      const seen = yield* drained(outbox, commands, targetLane, 10)
      yield* until(
        () => outbox.sql`select from troupe.watermark where pos >= 10 and sequence = 10`,
        (rows) => rows.length === 1
      )
      yield* Scope.close(first, Exit.void)
      yield* outbox.setBack
      // As when an owner that fills it again dies: others have published 7, and it the first 3.
      const again = [
        ...Array.from({ length: 7 }, () => ({ id: crypto.randomUUID(), key: "other" })),
        ...seen.slice(0, 3)
      ]
      for (const { id, key } of again)
        yield* Effect.promise(() => outbox.publish(`cmd.target.Other.act.${key}`, id, "0"))
      assert.strictEqual((yield* Effect.promise(() => outbox.read(commands, targetLane)))[9]!.id, seen[2]!.id)
      yield* outbox.own
      const whole = yield* drained(outbox, commands, targetLane, 17)
      assert.isTrue(sent.every((id) => ids(whole).some((published) => published.includes(id))))
    }).pipe(Effect.scoped),
  60_000
)
