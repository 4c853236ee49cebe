import { Actor } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Attempt from "../../src/engine/Attempt.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Deadlines from "../../src/engine/Deadlines.ts"
import * as Delivery from "../../src/engine/Delivery.ts"
import { Shop, tills } from "../till.ts"
import { incoming } from "./incoming.ts"

const stored = Date.parse("2026-01-01T00:00:00Z")
const consumer = Consumer.ofActor(Shop, tills.generator, 1)

/** A command that the stream took at `stored`. */
const ask = (deadlineMs?: number): Delivery.Delivery => {
  const headers = Envelope.toHeaders({ id: "c-1", type: "shop.Till.close", source: "web", deadlineMs })
  const delivery = Delivery.open(
    consumer,
    incoming({ subject: "cmd.shop.3.Till.close.t-1", headers, data: "{}", time: stored })
  )
  if (delivery === undefined || "code" in delivery) return assert.fail(delivery?.why)
  return delivery
}

/** A server and this process, each with a clock; so long, in ms, an answer of the server's is under way. */
class World {
  server = stored
  process = 0
  way = 0
  asked = 0
  away = false
  readonly deadlines = Deadlines.make(
    async () => {
      this.asked++
      const time = this.server
      await Promise.resolve()
      this.pass(this.way)
      if (this.away) throw new Error("NATS is away")
      return time
    },
    () => this.process
  )
  pass(ms: number): void {
    this.server += ms
    this.process += ms
  }
  over(deadlineMs?: number): Promise<boolean> {
    return Effect.runPromise(this.deadlines.over(ask(deadlineMs)))
  }
}

const ms = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200_000 }))

describe("a deadline", () => {
  it.prop(
    "passes by the stream's clock, whatever this machine's says",
    [ms, ms, ms],
    async ([age, deadline, booted]) => {
      const world = new World()
      world.process = booted
      world.pass(age)
      assert.strictEqual(await world.over(deadline), age > deadline)
      world.pass(deadline + 1)
      assert.isTrue(await world.over(deadline))
    }
  )

  it.prop(
    "never passes too early, however long the server's answers are under way",
    [ms, ms, ms],
    async ([way, age, deadline]) => {
      const world = new World()
      world.way = way
      world.pass(age)
      const over = await world.over(deadline)
      if (over) assert.isAbove(world.server, stored + deadline)
    }
  )

  it("is no deadline where the message has none, or nobody knows the stream's clock", async () => {
    const world = new World()
    world.pass(1_000_000)
    assert.isFalse(await world.over())
    assert.strictEqual(world.asked, 0)
    world.away = true
    assert.isFalse(await world.over(1))
    assert.isFalse(await Effect.runPromise(Effect.flatMap(Deadlines.Deadlines, ({ over }) => over(ask(1)))))
  })

  it("costs a question every 30 s, one for many commands at once, and one a second where commands look late", async () => {
    const world = new World()
    await Promise.all(Array.from({ length: 100 }, () => world.over(5_000)))
    assert.strictEqual(world.asked, 1)
    for (let i = 0; i < 100; i++) {
      world.pass(10)
      await world.over(60_000)
    }
    assert.strictEqual(world.asked, 1)
    for (let i = 0; i < 100; i++) {
      world.pass(10)
      assert.isTrue(await world.over(900))
    }
    assert.strictEqual(world.asked, 2)
    world.pass(30_000)
    await world.over(600_000)
    assert.strictEqual(world.asked, 3)
  })

  it("is looked at again when the server's clock was set back: a new command is not late", async () => {
    const world = new World()
    world.pass(3_600_000)
    assert.isTrue(await world.over(5_000))
    world.pass(2_000)
    world.server = stored
    assert.isFalse(await world.over(5_000))
  })

  it.effect("ends the retries of a handler that fails: nobody waits for the third", () =>
    Effect.gen(function* () {
      let tries = 0
      const failing = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
        pay: () => 0,
        close: () => {
          tries++
          throw new Error("no")
        }
      })
      const run = (over: boolean) =>
        Attempt.run(
          Consumer.ofActor(Shop, failing, 1),
          ask(5_000),
          0,
          1_000_000,
          Attempt.here(consumer, failing),
          (turn) => turn as never
        ).pipe(Effect.provideService(Deadlines.Deadlines, { over: () => Effect.succeed(over) }))
      assert.strictEqual((yield* run(false)).dead?.code, "TRP0301")
      assert.strictEqual(tries, 3)
      assert.strictEqual((yield* run(true)).dead?.code, "TRP0301")
      assert.strictEqual(tries, 4)
    })
  )

  it("that has passed is a rejection: no state, no dead letter", () => {
    const done = Attempt.expired(ask(5_000))
    assert.deepStrictEqual(
      [done.outcome, done.state, done.staged, done.dead, JSON.parse(done.body ?? "")],
      [
        "rejected",
        undefined,
        [],
        undefined,
        { code: "TRP0212", detail: "it had 5000 ms from 2026-01-01T00:00:00.000Z on" }
      ]
    )
  })
})
