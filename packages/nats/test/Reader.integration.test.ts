import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Nats, Reader } from "../src/index.ts"

const url = Redacted.make(process.env["NATS_URL"] ?? "NATS_URL is not set")

/** A stream of its own with so many messages, `<subject>.0.x` of "0", "1", ... */
const stream = (count: number) =>
  Effect.gen(function* () {
    const { js, jsm } = yield* Nats
    const name = `reader-${crypto.randomUUID()}`
    yield* Effect.acquireRelease(
      Effect.promise(() => jsm.streams.add({ name, subjects: [`${name}.>`] })),
      () => Effect.promise(() => jsm.streams.delete(name))
    )
    yield* Effect.promise(() =>
      Promise.all(Array.from({ length: count }, (_, i) => js.publish(`${name}.0.x`, String(i))))
    )
    const consumers = Effect.promise(async () => (await jsm.streams.info(name)).state.consumer_count)
    return { name, filter: `${name}.0.>`, consumers }
  })

/** Reads until it has so many. */
const readSome = (from: { name: string; filter: string }, count: number) =>
  Effect.gen(function* () {
    const full = yield* Deferred.make<void>()
    const seen: Array<number> = []
    const into = ({ seq }: { seq: number }): undefined => {
      seen.push(seq)
      if (seen.length === count) Deferred.doneUnsafe(full, Effect.void)
    }
    yield* Effect.raceFirst(
      Deferred.await(full),
      Reader.read({ stream: from.name, filter: from.filter, after: undefined, into, moved: () => Effect.void })
    )
    return seen
  })

const withNats = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Nats.layer({ url }))
    return yield* Effect.provide(self, Context.pick(Nats)(context))
  }).pipe(Effect.scoped)

it.live("a reader that never gets room ends at once when it is interrupted, and leaves nothing behind", () =>
  withNats(
    Effect.gen(function* () {
      const from = yield* stream(300)
      const full = yield* Deferred.make<void>()
      let taken = 0
      const into = (): Promise<void> | undefined => {
        if (++taken < 10) return undefined
        Deferred.doneUnsafe(full, Effect.void)
        return new Promise(() => {})
      }
      const reader = yield* Effect.forkChild(
        Reader.read({ stream: from.name, filter: from.filter, after: undefined, into, moved: () => Effect.void })
      )
      yield* Deferred.await(full)
      assert.strictEqual(yield* from.consumers, 1)
      const since = performance.now()
      const ended = yield* Effect.timeoutOption(Fiber.interrupt(reader), "5 seconds")
      assert.strictEqual(ended._tag, "Some", "it hangs")
      assert.isBelow(performance.now() - since, 1_000)
      assert.strictEqual(taken, 10, "and takes nothing more")
      assert.strictEqual(yield* from.consumers, 0)

      assert.deepStrictEqual(
        yield* readSome(from, 300),
        Array.from({ length: 300 }, (_, i) => i + 1)
      )
      assert.strictEqual(taken, 10)
      assert.strictEqual(yield* from.consumers, 0)
    }).pipe(Effect.scoped)
  )
)

it.live("a reader that waits for messages ends at once too", () =>
  withNats(
    Effect.gen(function* () {
      const from = yield* stream(3)
      assert.deepStrictEqual(yield* readSome(from, 3), [1, 2, 3])
      assert.strictEqual(yield* from.consumers, 0)
    }).pipe(Effect.scoped)
  )
)

it.live("a reader goes on when there is room again", () =>
  withNats(
    Effect.gen(function* () {
      const from = yield* stream(200)
      const full = yield* Deferred.make<void>()
      const seen: Array<number> = []
      let waits = 0
      const into = ({ seq }: { seq: number }): Promise<void> | undefined => {
        seen.push(seq)
        if (seen.length === 200) Deferred.doneUnsafe(full, Effect.void)
        if (seq % 7 > 0) return undefined
        waits++
        return new Promise((resolve) => setImmediate(resolve))
      }
      yield* Effect.raceFirst(
        Deferred.await(full),
        Reader.read({ stream: from.name, filter: from.filter, after: undefined, into, moved: () => Effect.void })
      )
      assert.strictEqual(waits, 28)
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 200 }, (_, i) => i + 1)
      )
    }).pipe(Effect.scoped)
  )
)

it.live(
  "a reader goes on at once after a pull whose bytes were used up exactly, of whose end the server says nothing",
  () =>
    Effect.gen(function* () {
      const inboxPrefix = `_INBOX.exact${crypto.randomUUID().slice(0, 8)}`
      const nats = Context.pick(Nats)(yield* Layer.build(Nats.layer({ url, inboxPrefix })))
      const other = yield* Layer.build(Nats.layer({ url }))
      /** All that the server sends to the reader: the bytes of messages as it counts them, and the codes of what ends pulls. */
      const sent: Array<number | string> = []
      const tap = Context.get(other, Nats).connection
      tap.subscribe(`${inboxPrefix}.>`, {
        callback: (_, { data, headers, reply, subject }) => {
          if (reply?.startsWith("$JS.ACK.")) sent.push(subject.length + reply.length + data.length)
          else if (headers?.code === 409) sent.push(headers.description)
        }
      })
      yield* Effect.promise(() => tap.flush())
      yield* Effect.gen(function* () {
        const { js } = yield* Nats
        const { consumers, filter, name } = yield* stream(0)
        const publish = (length: number) => Effect.promise(() => js.publish(`${name}.0.x`, "x".repeat(length)))
        const times: Array<number> = []
        let seen = yield* Deferred.make<void>()
        const into = (): undefined => {
          times.push(performance.now())
          Deferred.doneUnsafe(seen, Effect.void)
        }
        yield* Effect.forkScoped(
          Reader.read({ stream: name, filter, after: undefined, into, moved: () => Effect.void })
        )
        const next = (length: number) =>
          Effect.gen(function* () {
            seen = yield* Deferred.make<void>()
            yield* publish(length)
            yield* Deferred.await(seen)
          })
        // Then it waits for the next message: there was none when its consumer was made.
        yield* Effect.repeat(consumers, { until: (count) => count === 1, schedule: Schedule.spaced("10 millis") })
        // What the server counts beside the payload does not change meanwhile: all numbers in the reply subject have one digit.
        yield* next(1_000)
        yield* Effect.promise(() => tap.flush())
        const [first] = sent as [number]
        // A reader that waits for the next message takes 64 KiB from a pull.
        const last = 64 * 1024 - first - (first - 1_000)
        yield* next(last)
        yield* next(1)
        yield* Effect.promise(() => tap.flush())
        assert.deepStrictEqual(sent.slice(0, 2), [first, 64 * 1024 - first], "the pull was used up exactly")
        assert.isBelow(times[2]! - times[1]!, 2_000, "a silent server is given up after 3 s")
        assert.strictEqual(sent.length, 3, "and the server did not say that it is over")
      }).pipe(Effect.provide(nats))
    }).pipe(Effect.scoped)
)
