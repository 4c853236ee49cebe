import { assert, describe, it } from "@effect/vitest"
import { Actor } from "@troupe/actor"
import { Contract, Envelope } from "@troupe/contract"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Alone from "../../src/engine/Alone.ts"
import type { Board, Running } from "../../src/engine/Board.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import type { Incoming } from "../../src/engine/Mailbox.ts"
import { sorted } from "../../src/engine/Queues.ts"
import { Suspects } from "../../src/engine/Suspects.ts"
import { Shop, tills } from "../till.ts"
import { incoming } from "./incoming.ts"

const consumer = Consumer.ofActor(Shop, tills.plain, 1)
const fence = { consumer: 1, p: 3, token: "t", n: 0 }
const message = (id: string): Incoming =>
  incoming({
    subject: "cmd.shop.3.Till.pay.t-1",
    headers: Envelope.toHeaders({ id, type: "shop.Till.pay", source: "test" })
  })
const messages = (...ids: ReadonlyArray<string>) => ids.map(message)
const ids = (items: ReadonlyArray<object>) =>
  (items as ReadonlyArray<Incoming>).map((one) => one.message.headers.get("ce-id"))
const many = Array.from({ length: 5_000 }, (_, i) => message(String(i)))

describe("batches after a take-over", () => {
  const sizes = (died: boolean) => {
    const suspects = new Suspects(consumer, { died, fence, suspects: new Map() })
    const sizes: Array<number> = []
    for (let items: ReadonlyArray<Incoming> = many; items.length > 0;) {
      const portion = suspects.portion(items)
      sizes.push(portion.now.length)
      suspects.ended(portion)
      items = portion.later as ReadonlyArray<Incoming>
    }
    return sizes
  }

  it("grow from one message when the owner before died, until more was run than it can have read ahead", () => {
    const all = sizes(true)
    assert.deepStrictEqual(all.slice(0, 11), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    assert.deepStrictEqual(all.slice(11), [5_000 - 2_047])
  })

  it("grow from a few otherwise", () => {
    assert.deepStrictEqual(sizes(false), [32, 64, 128, 256, 512, 1024, 5_000 - 2_016])
  })
})

describe("a suspect", () => {
  const made = (found: Record<string, number>) =>
    new Suspects(consumer, { died: true, fence, suspects: new Map(Object.entries(found)) })

  it("runs alone, after what came before it", () => {
    const suspects = made({ b: 0 })
    const before = suspects.portion(messages("a", "b", "c"))
    assert.deepStrictEqual([ids(before.now), ids(before.later), before.alone], [["a"], ["b", "c"], false])
    suspects.ended(before)
    const alone = suspects.portion(before.later)
    assert.deepStrictEqual([ids(alone.now), ids(alone.later), alone.alone], [["b"], ["c"], true])
    assert.isUndefined(alone.condemned)
    suspects.ended(alone)
    assert.isFalse(suspects.portion(messages("b")).alone, "it ended well")
  })

  it("runs alone after one death alone, and is given up after two", () => {
    assert.isUndefined(made({ a: 1 }).portion(messages("a")).condemned)
    const { code, reason } = made({ a: 2 }).portion(messages("a")).condemned!
    assert.strictEqual(code, "TRP0302")
    assert.match(
      reason,
      /^its host, or its connection to PostgreSQL, ended while it alone ran: 2 strikes, .* may count as two$/,
      "a strike is no host"
    )
  })

  it("that waits in Postgres is not kept aside: it is still due", () => {
    const timer: Incoming = { ...message("t"), waited: { kind: "timer", key: "t-1", name: "n" } }
    assert.deepStrictEqual(ids(made({ a: 0 }).portion([...messages("a"), timer, message("c")]).later), ["c"])
  })
})

describe("what reads a message", () => {
  let seen: ReadonlyArray<ReadonlyArray<string>> = []
  const shown = new Map<number, Running>()
  const board: Board = {
    begin: (running) => {
      shown.set(shown.size, running)
      return shown.size - 1
    },
    end: (place) => void shown.delete(place),
    running: () => [...shown.values()]
  }
  const looks = Schema.String.check(
    Schema.makeFilter(() => {
      seen = [...seen, board.running().map(({ id }) => id)]
      return true
    })
  )
  class Reader extends Contract.actor({
    key: Schema.String,
    commands: { read: Contract.command({ payload: { text: looks } }) }
  }) {}
  const contract = Contract.make("shop", { Reader })
  const declared = Actor.make(contract.Reader, { state: Schema.Int, initial: 0 })
  const parts = {
    here: declared.commands({ read: () => {} }),
    "at an edge": declared.remote({ url: "https://edge.test/", secrets: ["x".repeat(32)] })
  }
  const one = (id: string) =>
    incoming({
      subject: "cmd.shop.3.Reader.read.t-1",
      headers: Envelope.toHeaders({ id, type: "shop.Reader.read", source: "test" }),
      data: '{"text":"t"}'
    })
  for (const [where, part] of Object.entries(parts)) {
    it(`is seen by the watch as the message alone, and not run for one that is given up: handlers ${where}`, async () => {
      seen = []
      const consumer = Consumer.ofActor(contract, part, 1)
      await Effect.runPromise(sorted(consumer, [one("a"), one("b")], { board, decode: true }))
      assert.deepStrictEqual(seen, [["a"], ["b"]])
      assert.isEmpty(board.running())
      await Effect.runPromise(sorted(consumer, [one("a")], { board, decode: false }))
      assert.lengthOf(seen, 2)
      const suspects = new Suspects(consumer, { died: true, fence, suspects: new Map([["a", 2]]) })
      assert.strictEqual(suspects.portion([one("a"), one("b")]).condemned?.code, "TRP0302")
    })
  }
})

it.live("what runs exclusively waits for what runs, and what comes meanwhile waits for it", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const step = (name: string, until: Deferred.Deferred<void>) =>
      Effect.gen(function* () {
        log.push(`${name} begins`)
        yield* Deferred.await(until)
        log.push(`${name} ends`)
      })
    const [one, two, three] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
    const before = yield* Effect.forkChild(Alone.shared(step("before", one)), { startImmediately: true })
    // Shared work inside runs at once: it belongs to it.
    const alone = yield* Effect.forkChild(Alone.exclusively(Alone.shared(step("alone", two))), {
      startImmediately: true
    })
    const after = yield* Effect.forkChild(Alone.shared(step("after", three)), { startImmediately: true })
    assert.deepStrictEqual(log, ["before begins"])
    for (const done of [one, two, three]) Deferred.doneUnsafe(done, Effect.void)
    yield* Effect.forEach([before, alone, after], (fiber) => Fiber.join(fiber))
    assert.deepStrictEqual(log, [
      "before begins",
      "before ends",
      "alone begins",
      "alone ends",
      "after begins",
      "after ends"
    ])
  })
)
