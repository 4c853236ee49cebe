import { assert, describe, it } from "@effect/vitest"
import { Nats } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Cursor from "../../src/engine/Cursor.ts"
import * as Mailbox from "../../src/engine/Mailbox.ts"
import type * as Partition from "../../src/engine/Partition.ts"
import { incoming } from "./incoming.ts"

const stream = "CMD_shop"
const read = (seq: number): Mailbox.Incoming => ({ ...incoming({}), position: { seq, id: `m${seq}` } })
const move = (seq: number): Mailbox.Move => ({ stream, position: { seq, id: `m${seq}` } })
const cursors = { [stream]: { seq: 9, id: "m9" }, EVT_other: { seq: 3, id: "e3" } }

const none: ReadonlySet<string> = new Set()

describe("the cursors of a partition", () => {
  it("go to what was read last, also when that is before", () => {
    assert.deepStrictEqual(Cursor.after(cursors, [read(10), read(12)], none), {
      ...cursors,
      [stream]: { seq: 12, id: "m12" }
    })
    const back = Cursor.after(cursors, [read(10), move(4), read(5)], none)
    assert.deepStrictEqual(back, { ...cursors, [stream]: { seq: 5, id: "m5" } })
  })

  it("are not moved by a message that was not read from the stream", () =>
    assert.deepStrictEqual(Cursor.after(cursors, [incoming({})], none), cursors))

  it("keep up to where messages may have been handled before, until the stream gives their sequences to others", () => {
    const redone = { ...cursors, [stream]: { seq: 9, id: "m9", redo: 40 } }
    const redo = (items: ReadonlyArray<Mailbox.Item>) => Cursor.after(redone, items, none)[stream]?.redo
    assert.strictEqual(redo([read(10), move(50), move(4)]), 40)
    assert.strictEqual(redo([read(10), { ...move(4), lost: true }, read(5)]), 40)
    assert.isUndefined(redo([read(50), { ...move(4), lost: true }, read(5)]))
    assert.isUndefined(Cursor.after(cursors, [read(10)], none)[stream]?.redo)
  })

  it("stay where they are when there is nothing to commit", () => {
    assert.isTrue(Cursor.stays(cursors, [move(9)]))
    assert.isFalse(Cursor.stays(cursors, [move(10)]))
    assert.isFalse(Cursor.stays(cursors, [{ stream, position: { seq: 9, id: "another" } }]))
    assert.isFalse(Cursor.stays(cursors, [read(9)]))
    assert.isFalse(Cursor.stays({}, [move(0)]))
  })

  it("know the last position of each lane, and forget them when the stream lost messages", () => {
    const event = (seq: number, actor: string, position: string | undefined): Mailbox.Incoming => {
      const headers = new Map(position === undefined ? [] : [["Troupe-Lane-Position", position]])
      const message = { seq, subject: `evt.other.3.${actor}.said.k`, headers, data: new Uint8Array(), time: 0 }
      return { stream: "EVT_other", message, position: { seq, id: `e${seq}` } }
    }
    const lanes = (items: ReadonlyArray<Mailbox.Item>) =>
      Cursor.after(cursors, items, new Set(["other.Till", "other.Desk"]))["EVT_other"]?.lanes
    const read = [
      event(4, "Till", "7"),
      event(5, "Desk", "2"),
      event(6, "Till", "9"),
      event(7, "Till", undefined),
      event(8, "Foreign", "3")
    ]
    const quiet: Mailbox.Move = { stream: "EVT_other", position: { seq: 20, id: "" } }
    assert.deepStrictEqual(lanes([...read, quiet]), { Till: 9, Desk: 2 })
    const back = { ...quiet, position: { seq: 3, id: "e3" }, lost: true }
    assert.isUndefined(lanes([...read, back]))
    assert.deepStrictEqual(lanes([...read, back, event(4, "Till", "7")]), { Till: 7 })
    assert.isUndefined(lanes([]))
  })

  it.effect("follow a reader behind what it read before, and a gap is told and kept", () =>
    Effect.gen(function* () {
      const progress = { p: 3, notice: undefined } as unknown as Partition.Progress
      const box = Mailbox.make()
      box.offer(read(10))
      const moved = Cursor.follow(progress, box, stream, "cmd.shop.3.>")
      yield* moved({ seq: 4, id: "m4" }, { code: "TRP0408", why: "it was set back" })
      assert.match(progress.notice!, /^TRP0408 .*CMD_shop, partition 3 · it was set back/)
      yield* moved({ seq: 20, id: "" }, { code: "TRP0407", why: "it begins at 21" })
      const items = yield* box.take
      assert.deepStrictEqual(
        items.map((item) => !Mailbox.isMessage(item) && item.lost),
        [false, true, false]
      )
      assert.strictEqual(Cursor.after(cursors, items.slice(0, 2), none)[stream]?.seq, 4)
      assert.strictEqual(Cursor.after(cursors, items, none)[stream]?.seq, 20)
      const [gap, ...more] = Cursor.gaps(items)
      assert.isEmpty(more)
      assert.deepInclude(gap, { code: "TRP0407", stream, sequence: 20, subject: "cmd.shop.3.>", message: null })
    })
  )

  it.effect("of an actor that is taken while the server is away wait for it, and do not fail", () =>
    Effect.gen(function* () {
      let back = () => {}
      const acks = {
        connected: false,
        on: (event: string, run: () => void) => {
          if (event === "reconnect") back = run
          return () => {}
        }
      }
      const jsm = {
        streams: {
          getMessage: async () => {
            if (!acks.connected) throw new Error("it is away")
            return { seq: 1, subject: "", header: new Map([["Troupe-Lane-Position", "7"]]) }
          }
        }
      }
      const progress = { p: 3, n: 0, consumer: { name: "shop.Till" } } as Partition.Progress
      const fence = { consumer: 1, p: 3, token: "", n: 0 }
      const taking = yield* Effect.forkChild(
        Cursor.taken(
          progress,
          { fence, epoch: 1, pos: 2, cursors, died: false, suspects: new Map(), setBack: false },
          "EVT_shop",
          "evt.shop.3.Till.>"
        ).pipe(Effect.provideService(Nats, { acks, api: async () => ({ jsm }) } as unknown as Nats["Service"])),
        { startImmediately: true }
      )
      acks.connected = true
      back()
      assert.strictEqual((yield* Fiber.join(taking)).pos, 7)
    })
  )
})
