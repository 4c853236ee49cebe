import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { assert, it, vi } from "@effect/vitest"
import { History, Nats, Topology } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const service = `history-${process.pid}`
const stream = `CMD_${service}`

it.live("purges what is both older than the window and below the cursor, of one lane alone", () =>
  Effect.gen(function* () {
    const { connection, jsm } = yield* Nats
    yield* Effect.acquireRelease(Topology.ensure("cmd", service, { ...Topology.limits, partitions: 1 }), () =>
      Effect.promise(() => jsm.streams.delete(stream))
    )
    const js = jetstream(connection)
    const send = (actor: string) => Effect.promise(() => js.publish(`cmd.${service}.${actor}.go.k`, "{}"))
    const left = Effect.promise(async () => (await jsm.streams.info(stream)).state.messages)
    for (const actor of ["Mine", "Other", "Mine", "Mine", "Mine", "Other"]) yield* send(actor)

    const lane = { stream, filter: `cmd.${service}.0.Mine.>` }
    assert.strictEqual(
      yield* History.purge({ ...lane, kept: "1 hour", cursor: { seq: 5, id: "" } }),
      0,
      "all of it is young"
    )
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 24 * 3_600_000 })
    assert.strictEqual(
      yield* History.purge({ ...lane, kept: "1 hour", cursor: { seq: 5, id: "" } }),
      0,
      "all of it is young by the stream's clock, though this machine's is a day ahead"
    )
    vi.useRealTimers()
    assert.strictEqual(
      yield* History.purge({ ...lane, kept: "0 millis", cursor: { seq: 0, id: "" } }),
      0,
      "nothing is handled"
    )
    assert.strictEqual(yield* left, 6)
    assert.strictEqual(
      yield* History.purge({ ...lane, kept: "0 millis", cursor: { seq: 4, id: "" } }),
      2,
      "1 and 3; 4 is the cursor's"
    )
    assert.strictEqual(yield* left, 4)
    assert.strictEqual(yield* History.purge({ ...lane, kept: "0 millis", cursor: { seq: 5, id: "" } }), 1)

    const other = { ...lane, kept: "0 millis", cursor: { seq: 6, id: "another" } } as const
    assert.strictEqual(yield* History.purge(other), 0, "it is not the stream that was read")

    // The window's edge lies between two messages.
    const at = yield* Effect.promise(async () => (await jsm.streams.getMessage(stream, { seq: 6 }))!.time.getTime())
    const edge = yield* send("Mine").pipe(
      Effect.andThen(Effect.sync(() => Date.now() - at)),
      Effect.repeat({ until: (age) => age > 50 })
    )
    const before = yield* left
    yield* send("Mine")
    const last = yield* Effect.promise(async () => (await jsm.streams.info(stream)).state.last_seq)
    const purged = yield* History.purge({ ...lane, kept: Date.now() - at - edge + 20, cursor: { seq: last, id: "" } })
    assert.isAbove(purged, 0)
    assert.isBelow(purged, before, "the younger ones stay")
  }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: Redacted.make(process.env["NATS_URL"]!) })))
)

it.live("forgets the message that was read, and no other that a stream which was set back has at its sequence", () =>
  Effect.gen(function* () {
    const { connection, jsm } = yield* Nats
    yield* Effect.acquireRelease(Topology.ensure("cmd", service, { ...Topology.limits, partitions: 1 }), () =>
      Effect.promise(() => jsm.streams.delete(stream))
    )
    const there = Effect.promise(async () => (await jsm.streams.info(stream)).state.messages)
    const wire = headers()
    wire.set("ce-id", "new")
    const { seq: sequence } = yield* Effect.promise(() =>
      jetstream(connection).publish(`cmd.${service}.Mine.go.k`, "{}", { headers: wire })
    )
    yield* History.forget([{ stream, sequence, id: "old" }])
    assert.strictEqual(yield* there, 1)
    yield* History.forget([{ stream, sequence, id: "new" }])
    assert.strictEqual(yield* there, 0)
    yield* History.forget([{ stream, sequence, id: "new" }])
  }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: Redacted.make(process.env["NATS_URL"]!) })))
)
