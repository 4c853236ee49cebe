import { assert, describe, it } from "@effect/vitest"
import { Nats } from "@troupe/nats"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import type { Agenda, Held } from "../../src/engine/Agenda.ts"
import type { Memory } from "../../src/engine/Batch.ts"
import { Deadlines } from "../../src/engine/Deadlines.ts"
import type { Delivery } from "../../src/engine/Delivery.ts"
import type { Incoming } from "../../src/engine/Mailbox.ts"
import type * as Partition from "../../src/engine/Partition.ts"
import * as SetBack from "../../src/engine/SetBack.ts"
import { incoming } from "./incoming.ts"

const stream = "CMD_shop"
const cursor = (seq: number, redo?: number): Commit.Cursors => ({
  [stream]: { seq, id: `m${seq}`, created: 1, ...(redo === undefined ? {} : { redo }) }
})

/** A stream that has these sequences, whatever the filter is. */
const having = (sequences: ReadonlySet<number>) => {
  const getMessage = async (_: string, query: { readonly seq?: number }) => {
    const seq = query.seq ?? Math.max(...sequences)
    return sequences.has(seq) ? { seq, subject: "", header: new Map() } : null
  }
  const acks = { connected: true, on: () => () => {} }
  return Nats.of({ acks, api: async () => ({ jsm: { streams: { getMessage } } }) } as never)
}

describe("the cursors of a partition whose database was set back", () => {
  it("say up to where messages may have been handled before, and never take that back", () => {
    assert.deepStrictEqual(SetBack.marked(cursor(5), { [stream]: 9 })[stream]?.redo, 9)
    assert.deepStrictEqual(SetBack.marked(cursor(5), { [stream]: 0 })[stream]?.redo, 5)
    assert.deepStrictEqual(SetBack.marked(cursor(5, 20), { [stream]: 9 })[stream]?.redo, 20)
  })

  it("say nothing of where to read on, if nothing was read", () => {
    const marked = SetBack.marked({}, { [stream]: 9 })
    assert.deepStrictEqual(marked, { [stream]: { seq: 0, id: "", redo: 9 } })
    assert.isUndefined(SetBack.readFrom(marked[stream]))
    assert.deepStrictEqual(SetBack.readFrom(cursor(5)[stream]), cursor(5)[stream])
  })
})

describe("a deadline that is over", () => {
  const over = (seq: number, redo: number | undefined, waited?: Incoming["waited"]) =>
    Effect.gen(function* () {
      const one = incoming({})
      const message = { ...one.message, seq }
      const delivery = { incoming: { ...one, message, ...(waited === undefined ? {} : { waited }) } } as Delivery
      return yield* SetBack.lenient(
        cursor(5, redo),
        Effect.flatMap(Deadlines, (deadlines) => deadlines.over(delivery))
      )
    }).pipe(
      Effect.provideService(Deadlines, { over: () => Effect.succeed(true) }),
      Effect.provideService(Nats, having(new Set([2, 9, 10, 11])))
    )
  const parked = { kind: "parked", key: "k", n: 1, attempts: 1 } as const

  it.effect("counts, unless the message may have been handled before a set-back", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* over(9, undefined))
      assert.isFalse(yield* over(10, 10))
      assert.isTrue(yield* over(11, 10))
    })
  )

  it.effect("counts for a message that waits in Postgres, if its stream says that it was too late before", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* over(2, 10, parked))
      assert.isTrue(yield* over(3, 10, parked))
      assert.isTrue(yield* over(11, 10, parked))
      assert.isTrue(yield* over(0, 10, { kind: "timer", key: "k", name: "t" }), "it was in no stream")
    })
  )
})

describe("what is due when a partition is taken", () => {
  const taken = (cursors: Commit.Cursors, sequences: ReadonlySet<number>) =>
    Effect.gen(function* () {
      const held: Array<Held> = []
      const agenda = { hold: (what) => void held.push(what) } as Partial<Agenda> as Agenda
      const consumer = { name: "shop.Till", sources: [{ stream, kind: "cmd", filter: () => "" }] }
      const progress = { consumer, p: 3, notice: "before" } as unknown as Partition.Progress<never>
      let memory = { cursors } as Memory
      const ends = yield* SetBack.ends(consumer as never, 3)
      const passed = yield* SetBack.hold(progress, agenda, ends, () => memory)
      const move = (cursors: Commit.Cursors) => {
        memory = { ...memory, cursors }
        passed()
      }
      return { held, move, progress }
    }).pipe(Effect.provideService(Nats, having(sequences)), Effect.provideService(References.MinimumLogLevel, "None"))

  it.effect("waits until the partition is past what the streams held then, if the database was set back", () =>
    Effect.gen(function* () {
      const { held, move } = yield* taken(cursor(5, 9), new Set([6, 9]))
      assert.deepStrictEqual(held, ["all"])
      move(cursor(8, 9))
      assert.deepStrictEqual(held, ["all"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(held, ["all"], "for as long as it takes")
      move(cursor(9, 9))
      assert.deepStrictEqual(held, ["all", "nothing"])
    }).pipe(Effect.scoped)
  )

  it.effect("does not wait for what the stream has lost meanwhile, and is told when it takes long", () =>
    Effect.gen(function* () {
      const sequences = new Set([6, 9])
      const { held, move, progress } = yield* taken(cursor(5, 9), sequences)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(progress.notice, "before")
      yield* TestClock.adjust("2 seconds")
      assert.match(progress.notice!, /^TRP0320 .*shop\.Till, partition 3 · CMD_shop: 5 of 9/)
      move(cursor(6, 9))
      assert.deepStrictEqual(held, ["all"])
      sequences.delete(9)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(held, ["all", "nothing"])
      assert.strictEqual(progress.notice, "before")
    }).pipe(Effect.scoped)
  )

  it.effect("are timers only, for a minute at most, if nothing says that it was", () =>
    Effect.gen(function* () {
      const { held } = yield* taken(cursor(5), new Set([6, 9]))
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(held, ["timers"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(held, ["timers", "nothing"])
    }).pipe(Effect.scoped)
  )

  it.effect("waits for nothing where all was handled", () =>
    Effect.gen(function* () {
      const { held } = yield* taken(cursor(9), new Set([6, 9]))
      assert.notInclude(held, "timers")
      assert.notInclude(held, "all")
    }).pipe(Effect.scoped)
  )
})
