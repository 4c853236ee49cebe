import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Cursor from "../../src/engine/Cursor.ts"
import { cut } from "../../src/engine/Cut.ts"
import type { Incoming, Item } from "../../src/engine/Mailbox.ts"
import { incoming } from "./incoming.ts"
import { chances, numberOf, World } from "./parkingWorld.ts"

describe("a batch whose turns are slow", () => {
  it.effect("begins no message after 2 s, commits what is done, and keeps the rest in order", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, {})
      world.slow = 1
      for (let n = 0; n < 7; n++) world.send(n % 2 === 0 ? "a" : "b", n)
      const seen: Array<number> = []
      for (let i = 0; i < 3; i++) {
        yield* world.batch(7)
        seen.push(world.inbox.size)
      }
      assert.deepStrictEqual(seen, [3, 6, 7])
      assert.deepStrictEqual(world.applied.get("a"), [0, 2, 4, 6])
      assert.deepStrictEqual(world.applied.get("b"), [1, 3, 5])
      assert.strictEqual(world.cursor, 7)
    })
  )

  it.effect("begins at least one message, and tries none again in place once it is late", () =>
    Effect.gen(function* () {
      const world = new World(() => 60, {})
      world.slow = 60
      world.broken.add(0)
      for (const n of [0, 1]) world.send("a", n)
      yield* world.batch(2)
      assert.strictEqual(world.parked.get("a")!.size, 1)
      assert.strictEqual(world.parked.get("a")!.get(1)!.attempts, 1)
      assert.strictEqual(world.cursor, 1)
    })
  )

  it.effect.prop(
    "loses nothing, runs nothing twice, and nothing of a key overtakes, whenever its owner dies",
    [Schema.Int],
    ([seed]) =>
      Effect.gen(function* () {
        const chance = chances(seed)
        const world = new World(chance, { attempts: 1_000, first: 0 }, chance(2) === 0)
        world.slow = 1 + chance(3)
        const keys = ["a", "b", "c", "d"]
        const sent = new Map(keys.map((key) => [key, [] as Array<number>]))
        const wrong: Array<number> = []
        for (let n = 0; n < 60; n++) {
          const key = keys[chance(keys.length)]!
          // What its sender did wrong is a dead letter.
          if (chance(12) === 0) {
            world.send(key, n + 0.5)
            wrong.push(n + 0.5)
            // It would hold up its key where the contract says so.
            if (world.consumer.blocks) continue
          }
          sent.get(key)!.push(n)
          world.send(key, n)
          if (chance(8) === 0) world.send(key, n)
          if (chance(10) === 0) world.broken.add(n)
        }
        const done = () => world.cursor === world.stream.length && world.parked.size === 0
        for (let step = 0; step < 1_000 && !done(); step++) {
          for (const n of world.broken) if (chance(8) === 0) world.broken.delete(n)
          if (chance(8) === 0) world.takeOver()
          const before = world.cursor
          yield* world.batch(chance(12), chance(12) === 0)
          assert.isAtLeast(world.cursor, before)
          if (world.consumer.blocks && step > 200) break
        }
        for (const numbers of world.applied.values())
          assert.deepStrictEqual(
            numbers,
            [...new Set(numbers)].sort((one, other) => one - other)
          )
        if (world.consumer.blocks) return
        assert.isTrue(done())
        assert.isAbove(world.cuts, 0)
        // Twice, if it had to wait behind another one, was kept, and its owner died before the cursor had passed it.
        const dead = new Set(world.dead.map(numberOf))
        assert.deepStrictEqual(
          [...dead].sort((one, other) => one - other),
          wrong
        )
        for (const [key, numbers] of sent) assert.deepStrictEqual(world.applied.get(key) ?? [], numbers)
      }),
    { timeout: 60_000, arbitrary: { runs: 60, maxShrinks: 20 } }
  )
})

const at = (stream: string, seq: number, more: Partial<Incoming> = {}): Incoming => ({
  ...incoming({ subject: `evt.shop.0.Till.paid.${seq}`, headers: { "Troupe-Lane-Position": `${10 * seq}` } }),
  stream,
  position: { seq, id: `m-${seq}` },
  ...more
})

describe("the cursor of a batch that is cut", () => {
  it("stops in each stream at the first message that was not begun, and so do lanes and gaps", () => {
    const gap = { code: "TRP0407" } as never
    const [one, two, three, other] = [at("A", 1), at("A", 2), at("A", 3), at("B", 1)]
    const hole: Item = { stream: "A", position: { seq: 9, id: "" }, gap }
    const timer: Incoming = { ...incoming({}), waited: { kind: "timer", key: "k", name: "t" } }
    const first = cut([timer, one, two, three, hole, other], new Set([timer, two]), new Set())
    assert.deepStrictEqual(first.passed, [one, other])
    assert.deepStrictEqual(Cursor.gaps(first.passed), [])
    const heard = new Set(["shop.Till"])
    const after = Cursor.after({}, first.passed, heard)
    assert.deepStrictEqual(after, {
      A: { seq: 1, id: "m-1", lanes: { Till: 10 } },
      B: { seq: 1, id: "m-1", lanes: { Till: 10 } }
    })
    assert.deepStrictEqual(
      first.left.map((item) => [item.position?.seq, "message" in item]),
      [
        [2, true],
        [3, false],
        [9, false]
      ],
      "of what is done only the place is left, and a timer is due again"
    )

    const then = cut(first.left, new Set(), new Set())
    assert.deepStrictEqual(then.left, [])
    assert.deepStrictEqual(Cursor.gaps(then.passed), [gap])
    assert.deepStrictEqual(Cursor.after(after, then.passed, heard)["A"], {
      seq: 9,
      id: "",
      lanes: { Till: 30 }
    })
  })

  it("leaves a refusal, of which the inbox knows nothing, to the commit that passes it", () => {
    const [one, two] = [at("A", 1), at("A", 2)]
    assert.deepStrictEqual(cut([one, two], new Set([one]), new Set([two])), { passed: [], left: [one, two] })
  })
})
