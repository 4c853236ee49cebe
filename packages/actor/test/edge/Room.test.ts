import { assert, it } from "@effect/vitest"
import { Room } from "../../src/edge/Room.ts"

it("a room takes no more than fits, and takes back a place that nobody gave back", () => {
  const room = new Room(100_000)
  const first = room.enter(60_000, 0, 15)
  assert.isDefined(first)
  assert.isUndefined(room.enter(50_000, 1, 16))
  const second = room.enter(40_000, 1, 16)
  assert.isDefined(second)
  room.leave(second!)
  room.leave(second!)
  assert.strictEqual(room.taken, 60_000, "given back once")
  assert.isUndefined(room.enter(50_000, 14, 29))
  assert.isDefined(room.enter(50_000, 15, 30), "a request that was cut off")
  room.leave(first!)
  assert.strictEqual(room.taken, 50_000)
})

it("the smallest body takes some room: its request does", () => {
  const room = new Room(100_000)
  const places = Array.from({ length: 10 }, () => room.enter(1, 0, 15))
  assert.strictEqual(places.filter((place) => place !== undefined).length, 6)
})
