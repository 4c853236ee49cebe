import { assert, describe, it } from "@effect/vitest"
import type { Commit } from "@troupe/postgres/internal"
import * as DeadLetters from "../../src/engine/DeadLetters.ts"

const letter = (sequence: number, code = "TRP0201", bytes = 10): Commit.DeadRow => ({
  key: "k",
  message: `m-${sequence}`,
  origin: null,
  stream: "CMD_shop",
  sequence,
  subject: "cmd.shop.3.Till.pay.k",
  headers: "{}",
  body: new Uint8Array(bytes),
  code,
  reason: "wrong"
})
const room = (over: Partial<DeadLetters.Room> = {}): DeadLetters.Room => ({
  messages: 0,
  bytes: 0,
  summary: undefined,
  limits: { messages: 3, bytes: 10_000 },
  ...over
})
const sequences = ({ dead }: { readonly dead: ReadonlyArray<Commit.DeadRow> }) =>
  dead.filter(({ code }) => code !== "TRP0323").map(({ sequence }) => sequence)
const summary = ({ dead }: { readonly dead: ReadonlyArray<Commit.DeadRow> }) =>
  dead.find(({ code }) => code === "TRP0323")

describe("dead letters", () => {
  it("are kept whole while there is room, and beyond it counted in one letter that names the last", () => {
    const fitted = DeadLetters.fitting(
      room(),
      [],
      [1, 2, 3, 4, 5].map((n) => letter(n))
    )
    assert.deepStrictEqual(sequences(fitted), [1, 2, 3])
    assert.strictEqual(summary(fitted)?.reason, "2 of TRP0201; the last was 5 of CMD_shop")
    assert.isEmpty(fitted.undead)
    const { body } = summary(fitted)!
    const next = DeadLetters.fitting(
      room({ messages: 3, summary: { id: 17, body } }),
      [],
      [letter(6), letter(7, "TRP0203")]
    )
    assert.isEmpty(sequences(next))
    assert.strictEqual(summary(next)?.reason, "3 of TRP0201, 1 of TRP0203; the last was 7 of CMD_shop")
    assert.deepStrictEqual(next.undead, [{ id: 17 }], "it takes the place of the one before")
  })

  it("are bounded in bytes as well, headers included", () => {
    const large = [letter(1, "TRP0201", 4_000), letter(2, "TRP0201", 4_000), letter(3, "TRP0201", 4_000)]
    assert.deepStrictEqual(sequences(DeadLetters.fitting(room(), [], large)), [1, 2])
    const headers = { ...letter(1), headers: JSON.stringify({ x: "y".repeat(10_000) }) }
    assert.isEmpty(sequences(DeadLetters.fitting(room(), [], [headers])))
  })

  it("that nobody else knows of are kept whole in any case", () => {
    const failed = [1, 2, 3, 4].map((n) => letter(n, "TRP0301"))
    const fitted = DeadLetters.fitting(room(), failed, [letter(5)])
    assert.deepStrictEqual(sequences(fitted), [1, 2, 3, 4])
    assert.strictEqual(summary(fitted)?.reason, "1 of TRP0201; the last was 5 of CMD_shop")
  })

  it("have an equal share of the room in each partition, and operators are told when it fills up", () => {
    assert.deepStrictEqual(DeadLetters.shareOf({ messages: 10_000, bytes: 1_000 }, 16), { messages: 625, bytes: 63 })
    const limits = { messages: 10, bytes: 10_000 }
    const levels = [7, 8, 9, 10, 11].map((messages) => DeadLetters.level(room({ messages, limits })))
    assert.deepStrictEqual(levels, ["room", "much", "much", "full", "full"])
    assert.strictEqual(DeadLetters.level(room({ bytes: 8_000, limits })), "much")
    const partitions = [1, 9, 8].map((messages, p) => ({ p, room: room({ messages, limits }) }))
    assert.match(
      DeadLetters.complaint("shop.Till", partitions) ?? "",
      /^TRP0519 .* · shop\.Till · partition 1 has 9 of 10 messages, 0 of 10000 bytes · /
    )
    assert.isUndefined(DeadLetters.complaint("shop.Till", partitions.slice(0, 1)))
    assert.isUndefined(DeadLetters.complaint("shop.Till", [{ p: 0, room: undefined }]))
  })
})
