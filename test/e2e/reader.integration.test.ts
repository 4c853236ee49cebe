import { DiscardPolicy, jetstream } from "@nats-io/jetstream"
import { headers as natsHeaders, type NatsConnection } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { Nats, type Position, Reader } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { broker } from "./src/setBack.ts"
import { until } from "./src/world.ts"

const stream = "LOG"
const lanes = { stream, subjects: ["log.>"] }

/** Publishes one after another; each message's id and body is its name. */
const publish = async (nats: NatsConnection, names: ReadonlyArray<string>, lane = 0, id = true): Promise<number> => {
  let last = 0
  for (const name of names) {
    const headers = natsHeaders()
    if (id) headers.set("ce-id", name)
    last = (await jetstream(nats).publish(`log.${lane}.x`, name, { headers })).seq
  }
  return last
}
const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`)

/** Reads lane 0 in the background; what it got, and what it was told. */
const read = (after?: Position.Position, setBack = false) =>
  Effect.gen(function* () {
    const got: Array<string> = []
    const at: { position: Position.Position | undefined } = { position: after }
    const findings: Array<string> = []
    let first: Position.Position | undefined
    yield* Effect.forkScoped(
      Reader.read({
        stream,
        filter: "log.0.>",
        after,
        setBack,
        into: (message, position) => {
          first ??= position
          got.push(new TextDecoder().decode(message.data))
          at.position = position
          return undefined
        },
        moved: (position, finding) =>
          Effect.sync(() => {
            at.position = position
            if (finding !== undefined) findings.push(finding.code)
          })
      })
    )
    const has = (what: string) =>
      until(
        async () => got,
        (got) => got.includes(what)
      )
    return { got, at, findings, has, first: () => first! }
  })

const made = Effect.gen(function* () {
  const { connection, jsm } = yield* Nats
  yield* Effect.promise(() => jsm.streams.add({ name: stream, subjects: lanes.subjects }))
  const state = Effect.promise(async () => (await jsm.streams.info(stream)).state)
  return { connection, jsm, state }
})

const often = Effect.provideService(Reader.LookEvery, "100 millis")

const onBroker = <A, E, R>(test: (server: Effect.Success<typeof broker>) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const server = yield* broker
    return yield* Effect.provide(Effect.scoped(test(server)), Nats.layer({ url: Redacted.make(server.url) }))
  }).pipe(Effect.scoped)

it.live.each([
  ["with ids", true],
  ["without ids", false]
] as const)("a reader reads what a stream that was set back got instead, %s", ([, id]) =>
  onBroker((server) =>
    Effect.gen(function* () {
      const { connection, state } = yield* made
      const reader = yield* read()
      yield* Effect.promise(() => publish(connection, names("a", 20), 0, id))
      yield* reader.has("a20")
      yield* server.keep
      yield* server.use((nats) => publish(nats, names("b", 20), 0, id))
      yield* reader.has("b20")
      assert.strictEqual((yield* state).last_seq, 40)
      // Less than it had, then exactly as much, then more.
      for (const [prefix, count] of [
        ["c", 10],
        ["d", 20],
        ["e", 30]
      ] as const) {
        const last = yield* server.setBack((nats) => publish(nats, names(prefix, count), 0, id))
        assert.strictEqual(last, 20 + count, "it was set back, and filled by others")
        yield* reader.has(`${prefix}${count}`)
      }
      assert.deepStrictEqual(new Set(reader.findings), new Set(["TRP0408"]))
      const seen = reader.got.filter((name) => !name.startsWith("a"))
      assert.deepStrictEqual(
        [...new Set(seen)],
        [...names("b", 20), ...names("c", 10), ...names("d", 20), ...names("e", 30)]
      )
      assert.deepInclude(reader.at.position, { seq: 50, id: id ? "e30" : "" })
      yield* server.use((nats) => publish(nats, ["f"], 0, id))
      yield* reader.has("f")
    })
  )
)

it.live("a server that comes back with all it had repeats nothing", () =>
  onBroker((server) =>
    Effect.gen(function* () {
      const { connection } = yield* made
      const reader = yield* read()
      yield* Effect.promise(() => publish(connection, names("a", 20)))
      yield* reader.has("a20")
      yield* server.keep
      const last = yield* server.setBack((nats) => publish(nats, names("b", 5)))
      assert.strictEqual(last, 25)
      yield* reader.has("b5")
      assert.deepStrictEqual(reader.got, [...names("a", 20), ...names("b", 5)])
      assert.deepStrictEqual(reader.findings, [])
    })
  )
)

it.live("a stream that was deleted and created anew is read from its beginning", () =>
  onBroker(() =>
    Effect.gen(function* () {
      const { connection, jsm, state } = yield* made
      const reader = yield* read()
      yield* Effect.promise(() => publish(connection, names("a", 5)))
      yield* reader.has("a5")
      const before = reader.at.position!
      yield* Effect.promise(async () => {
        await jsm.streams.delete(stream)
        await jsm.streams.add({ name: stream, subjects: lanes.subjects })
        await publish(connection, names("b", 9))
        // What stood at the cursor is gone: the sequence alone proves nothing.
        await jsm.streams.deleteMessage(stream, 5)
      })
      assert.strictEqual((yield* state).last_seq, 9)
      yield* reader.has("b9")
      const left = names("b", 9).filter((name) => name !== "b5")
      // It may have come before the deletion.
      assert.deepStrictEqual(
        reader.got.filter((name) => name !== "b5"),
        [...names("a", 5), ...left]
      )
      assert.deepStrictEqual(reader.findings, ["TRP0408"])
      // And so it is by one that starts with the old cursor.
      const late = yield* read(before)
      yield* late.has("b9")
      assert.deepStrictEqual(late.got, left)
    }).pipe(often)
  )
)

it.live("a quiet reader moves to the stream's end, so that retention leaves no gap; one that was away has one", () =>
  onBroker(() =>
    Effect.gen(function* () {
      const { connection, jsm, state } = yield* made
      const reader = yield* read()
      yield* Effect.promise(() => publish(connection, ["mine"]))
      yield* reader.has("mine")
      const before = reader.at.position!
      const last = yield* Effect.promise(() => publish(connection, names("other", 50), 1))
      yield* until(
        async () => reader.at.position?.seq,
        (seq) => seq === last
      )
      const moved = reader.at.position!
      assert.deepInclude(moved, { seq: 51, id: "other50" })
      yield* Effect.promise(() => jsm.streams.purge(stream, { seq: 51 }))
      assert.strictEqual((yield* state).first_seq, 51, "retention passed what it read itself")
      yield* Effect.promise(() => publish(connection, ["again"]))

      const back = yield* read(moved)
      yield* back.has("again")
      assert.deepStrictEqual([back.got, back.findings], [["again"], []])
      // Another partition's owner may purge the message that the cursor stands on.
      yield* Effect.promise(() => jsm.streams.deleteMessage(stream, 51))
      assert.strictEqual((yield* state).first_seq, 52)
      const second = yield* read(moved)
      yield* second.has("again")
      assert.deepStrictEqual([second.got, second.findings], [["again"], []])

      const away = yield* read(before)
      yield* away.has("again")
      assert.deepStrictEqual([away.got, away.findings], [["again"], ["TRP0407"]])
      assert.deepStrictEqual([reader.got, reader.findings], [["mine", "again"], []])
    }).pipe(often)
  )
)

it.live("where the server deletes nothing by itself, a purge is a loss only of what was known to wait", () =>
  onBroker(() =>
    Effect.gen(function* () {
      const { connection, jsm } = yield* Nats
      const config = { name: stream, subjects: lanes.subjects, discard: DiscardPolicy.New }
      yield* Effect.promise(() => jsm.streams.add(config))
      yield* Effect.promise(() => publish(connection, names("mine", 3)))
      const known = (seq: number, left: number) => ({ seq, id: `mine${seq}`, ...(left === 0 ? {} : { left }) })
      const reader = yield* read()
      yield* reader.has("mine3")
      assert.deepInclude(reader.first(), known(1, 2))
      assert.deepInclude(reader.at.position, known(3, 0))

      // Others' messages come, are handled, and are purged, and with them what was read here.
      yield* Effect.promise(() => publish(connection, names("other", 5), 1))
      yield* Effect.promise(() => jsm.streams.purge(stream, { seq: 9 }))
      yield* Effect.promise(() => publish(connection, ["next"]))
      const after = yield* read(known(3, 0))
      yield* after.has("next")
      assert.deepStrictEqual([after.got, after.findings], [["next"], []])

      // One of the two that waited behind the first one is gone for a reader that has handled the first one only.
      const behind = yield* read(known(1, 2))
      yield* behind.has("next")
      assert.deepStrictEqual([behind.got, behind.findings], [["next"], ["TRP0407"]])
      const doubting = yield* read(known(3, 0), true)
      yield* doubting.has("next")
      assert.deepStrictEqual(doubting.findings, ["TRP0407"], "a reader that was set back cannot know what was purged")
    })
  )
)

it.live("a reader that has no room while retention passes it says so, and hands over what it still had", () =>
  onBroker(() =>
    Effect.gen(function* () {
      const { connection, jsm, state } = yield* made
      const body = "x".repeat(4_000)
      const seen: Array<number> = []
      const findings: Array<string> = []
      const room = Promise.withResolvers<void>()
      yield* Effect.forkScoped(
        Reader.read({
          stream,
          filter: "log.0.>",
          after: undefined,
          into: ({ seq }) => {
            seen.push(seq)
            return room.promise
          },
          moved: (_, finding) => Effect.sync(() => void (finding !== undefined && findings.push(finding.code)))
        })
      )
      const delivered = async () => (await jsm.consumers.list(stream).next())[0]?.delivered.stream_seq ?? 0
      yield* until(
        () => jsm.consumers.list(stream).next(),
        (consumers) => consumers.length === 1
      )
      yield* Effect.promise(() =>
        Promise.all(Array.from({ length: 2_000 }, () => jetstream(connection).publish("log.0.x", body)))
      )
      yield* until(delivered, (seq) => seq >= 50)
      yield* Effect.promise(() => jsm.streams.purge(stream, { seq: 1_900 }))
      assert.strictEqual((yield* state).first_seq, 1_900)
      // The fault: no room for longer than the consumer lives without heartbeats.
      yield* Effect.sleep("4 seconds")
      room.resolve()
      yield* until(
        async () => seen.at(-1),
        (last) => last === 2_000
      )
      assert.deepStrictEqual(seen, [...new Set(seen)], "nothing twice")
      const first = seen.findIndex((seq, i) => seq !== i + 1)
      assert.isAbove(first, 1, "what it had is handed over")
      assert.strictEqual(seen[first], 1_900)
      assert.deepStrictEqual(findings, ["TRP0407"])
    })
  )
)
