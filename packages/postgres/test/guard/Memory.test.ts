import { assert, it } from "@effect/vitest"
import { Guard } from "@troupe/postgres/internal"

const { Memory } = Guard
const ms = (n: number) => BigInt(n) * 1_000_000n

it("a lease counts from when the heartbeat was sent, and one that is over stays over until the host joins again", () => {
  let now = ms(1_000)
  const memory = Memory.make()
  const lease = Memory.lease(memory, 100, () => now)
  const renewal = Memory.renewal(memory, 100, () => now)
  assert.isFalse(lease.held(), "nobody has joined")
  renewal.begin(now)
  now += ms(90)
  assert.isTrue(lease.held())
  const sent = now
  now += ms(9)
  assert.isTrue(renewal.renew(sent))
  now = sent + ms(99)
  assert.isTrue(lease.held())
  now = sent + ms(100)
  assert.isFalse(lease.held(), "not counted from when it was answered")
  assert.isFalse(renewal.renew(now))
  now = sent
  assert.isFalse(lease.held(), "one that was seen to be over stays over")
  renewal.begin(now)
  assert.isTrue(lease.held())
  renewal.end()
  assert.isFalse(renewal.renew(now))
  assert.isFalse(lease.held())
})

it("a lease that a thread with another clock renews ends early rather than late", () => {
  const memory = Memory.make()
  const turn = Memory.turn(memory)
  const ahead = ms(5_000)
  turn()
  const turns = Memory.turns(memory, () => process.hrtime.bigint() + ahead)
  const clock = () => {
    const before = turns.clock()
    const now = process.hrtime.bigint()
    return { before, now }
  }
  for (let i = 0; i < 3; i++) {
    const { before, now } = clock()
    assert.isTrue(before <= now, "never ahead of the loop's clock")
    turn()
  }
  turn()
  const { before, now } = clock()
  assert.isTrue(now - before < ms(1_000), "and no further behind than the last turn")
  assert.strictEqual(turns.count(), 5)
})

it("a thread reads the messages that run, and no others, whatever is in their texts", () => {
  const memory = Memory.make()
  const board = Memory.board(memory)
  const read = Memory.board(memory)
  const one = { consumer: 3, p: 15, id: "an id é", what: "orders.Order.place k" }
  const other = { ...one, id: "\u0000\ud800 \u{1F600}" }
  const places = [board.begin(one), board.begin(other)]
  assert.deepStrictEqual(
    [...read.shown()].sort((a, b) => a.id.length - b.id.length).map(({ id }) => id),
    [one.id, "\u0000\ufffd \u{1F600}"].sort((a, b) => a.length - b.length)
  )
  board.end(places[1]!)
  assert.deepStrictEqual(read.shown(), [{ ...one, waited: false }])
  board.turned()
  assert.deepStrictEqual(read.shown(), [{ ...one, waited: true }])
  const late = board.begin(one)
  assert.deepStrictEqual(
    read.shown().map(({ waited }) => waited),
    [true, false],
    "the turn before was not its own"
  )
  board.end(late)
  board.end(places[0]!)
  assert.deepStrictEqual(read.shown(), [])
  board.begin({ ...one, what: "x".repeat(10_000) })
  assert.strictEqual(read.shown()[0]!.what.length, 640)
})

it("the board has room for 256 messages; one more is not shown, and disturbs none", () => {
  const board = Memory.board(Memory.make())
  const message = (i: number) => ({ consumer: 1, p: 1, id: `${i}`, what: "x" })
  const places = Array.from({ length: 257 }, (_, i) => board.begin(message(i)))
  assert.strictEqual(new Set(places.slice(0, 256)).size, 256)
  assert.strictEqual(places[256], -1)
  board.end(-1)
  assert.lengthOf(board.shown(), 256)
  for (const place of places) board.end(place)
  assert.lengthOf(board.shown(), 0)
})

it("last words wait for the thread, and no longer than they may", () => {
  const memory = Memory.make()
  assert.isUndefined(Memory.asked(memory))
  const before = performance.now()
  assert.isFalse(Memory.say(memory, [{ consumer: 1, p: 1, id: "a", what: "x" }], 50))
  assert.isAtLeast(performance.now() - before, 45)
  assert.isUndefined(Memory.asked(memory), "nobody waits any longer")
})
