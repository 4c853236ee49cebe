import { assert, it } from "@effect/vitest"
import type { Wishes } from "@troupe/postgres/internal"
import type { Agenda } from "../../src/engine/Agenda.ts"
import type { Memory } from "../../src/engine/Batch.ts"
import { grant } from "../../src/engine/Grant.ts"
import type { Key } from "../../src/engine/Parking.ts"

const letter = (id: number, places: Partial<Wishes.Letter> = {}): Wishes.Letter => ({
  id,
  key: "k",
  message: `m${id}`,
  stream: "CMD_shop",
  sequence: id,
  subject: "cmd.shop.0.Till.pay.k",
  headers: "{}",
  body: new Uint8Array(),
  code: "TRP0301",
  reason: "",
  origin: null,
  at: 0,
  renamed: `again${id}`,
  head: undefined,
  blocker: undefined,
  ...places
})
const granted = (key: Key | undefined, kind: Wishes.Wish["kind"], ...letters: ReadonlyArray<Wishes.Letter>) => {
  const agenda = { key: () => key } as Partial<Agenda> as Agenda
  const fence = { consumer: 1, p: 0, token: "", n: 0 }
  const memory = { fence, pos: 0, cursors: {}, agenda } as Partial<Memory> as Memory
  const wishes = letters.map((letter) => ({ id: letter.id, kind, letter }))
  const { parked, work } = grant(memory, wishes, [])
  return {
    change: parked.get("k"),
    places: work.more.parked!.map(({ n }) => n),
    gone: work.more.unparked!.map(({ n }) => n)
  }
}

it("what is parked after a redriven message gets a place behind it, also when nothing else of its key is left", () => {
  const alone: Key = { head: 5, next: 6, count: 1, bytes: 500 }
  const { change, gone, places } = granted(alone, "redrive", letter(1, { head: 5, blocker: 5 }))
  assert.deepStrictEqual([gone, places], [[5], [4]])
  assert.deepInclude(change?.key, { head: 4, count: 1, bytes: 500 })
  assert.isAbove(change!.key!.next, 4)
})

it("redriven messages come in their order, in front of what waits for their key", () => {
  const waiting: Key = { head: 7, next: 9, count: 2, bytes: 1_000 }
  const one = granted(waiting, "redrive", letter(1, { head: 7 }), letter(2, { head: 7 }))
  assert.deepStrictEqual(one.places, [5, 6])
  assert.deepStrictEqual(one.change, { key: { head: 5, next: 9, count: 4, bytes: 2_000 }, delay: 0 })
  const none = granted(undefined, "redrive", letter(1), letter(2))
  assert.deepStrictEqual(none.places, [1, 2])
  assert.deepStrictEqual(none.change, { key: { head: 1, next: 3, count: 2, bytes: 1_000 }, delay: 0 })
})

it("a key goes on once what held it up is discarded", () => {
  const key: Key = { head: 5, next: 7, count: 2, bytes: 1_000 }
  const { change, gone, places } = granted(key, "discard", letter(1, { head: 5, blocker: 5 }))
  assert.deepStrictEqual([gone, places], [[5], []])
  assert.deepStrictEqual(change, { key: { head: undefined, next: 7, count: 1, bytes: 500 }, delay: 0 })
})
