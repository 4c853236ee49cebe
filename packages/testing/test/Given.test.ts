import { Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { check, given } from "@troupe/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Careless, Closed, Dish, Kitchen, Room, stoves, stoveThat, StoveState, waiter } from "./kitchen.ts"

const stove = stoves.plain
const me = Kitchen.Stove.at("s-1")
const at = new Date(5)
const soup = { name: "soup", portions: 2 } as Dish
const { cleaned, cooked } = Kitchen.Stove.events

/** The error that a check fails with; fails itself when it passes. */
const failure = async (expectation: Effect.Effect<void>): Promise<Error & { actual?: unknown; expected?: unknown }> => {
  const error = await check(expectation).then(
    () => assert.fail("the check passed"),
    (error: unknown) => error
  )
  assert.instanceOf(error, Error)
  return error
}

for (const [style, actor] of Object.entries(stoves)) {
  describe(`a turn of an actor written as ${style}`, () => {
    it.effect("is checked as a whole, with plain objects where schemas are classes", () =>
      given(actor)
        .when(me.cook({ dish: soup, at }))
        .expect({
          reply: soup,
          state: { cooked: 1, last: soup, busy: false },
          events: [cooked.from("s-1", { dish: soup, at })],
          sent: [Room.Table.at("s-1").serve({ plates: 4 })]
        })
    )

    it.effect("that is refused keeps nothing", () =>
      given(actor, new StoveState({ cooked: 2 }))
        .when(me.cook({ dish: soup, at }))
        .expect({
          error: new Closed({ until: new Date(1_000) }),
          state: new StoveState({ cooked: 2 }),
          events: [],
          sent: []
        })
    )

    it.effect("without a reply answers with nothing", () =>
      given(actor)
        .when(me.clean())
        .expect({ reply: undefined, events: [cleaned.from("s-1", {})], sent: [] })
    )
  })
}

describe("a turn of a subscriber", () => {
  it.effect("is checked like one of an actor", () =>
    given(waiter, { served: 1 })
      .when(cooked.from("s-1", { dish: soup, at }))
      .expect({ state: { served: 5 }, sent: [Room.Table.at("s-1").serve({ plates: 4 })], events: [] })
  )

  it.effect("needs no state", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const listener = Subscriber.make("listener", { sends: [Room.Table] }).on(cooked, (event, self) => {
        heard.push(event.type, event.lane, self.state)
        self.send(Room.Table.at(event.key).serve({ plates: event.payload.dish.plates }))
      })
      yield* given(listener)
        .when(cooked.from("s-1", { dish: soup, at }))
        .expect({ state: undefined, sent: [Room.Table.at("s-1").serve({ plates: 4 })], events: [] })
      assert.deepStrictEqual(heard, ["kitchen.Stove.cooked", "kitchen.Stove", undefined])
    })
  )

  it("needs an event that it listens to", async () => {
    assert.strictEqual(
      (await failure(given(waiter).when(cleaned.from("s-1", {})).expect({}))).message,
      "waiter does not listen to kitchen.Stove.cleaned"
    )
  })
})

describe("a turn", () => {
  it("can be looked at", async () => {
    const turn = await Effect.runPromise(given(stove).when(me.cook({ dish: soup, at })).turn)
    assert.isTrue(turn.changed)
    assert.isTrue(turn.state.last instanceof Dish)
    assert.strictEqual(turn.staged.length, 2)
  })

  it("has its time, id and dice from the test, the same each time", async () => {
    const dice = stoveThat((self) =>
      self.set({ cooked: Math.floor(self.random() * 1e6) + self.now + self.messageId.length, busy: false })
    )
    const run = (how?: { id?: string; now?: number }) =>
      Effect.runPromise(given(dice).when(me.clean(), how).turn).then(({ state }) => state.cooked)
    assert.strictEqual(await run(), await run())
    assert.strictEqual((await run({ now: 7 })) - (await run({ now: 5 })), 2)
    assert.notStrictEqual(await run({ id: "a", now: 0 }), await run({ id: "b", now: 0 }))
  })

  it("that throws stays broken", async () => {
    const broken = stoveThat(() => {
      throw new RangeError("out of gas")
    })
    assert.instanceOf(await failure(given(broken).when(me.clean()).expect({})), RangeError)
  })
})

describe("the timers of a turn", () => {
  const serve = (plates: number) => Room.Table.at("s-1").serve({ plates })
  const turn = given(
    stoveThat((self) => {
      self.timer("cold", "1 minute", me.clean())
      self.send(serve(1), { after: "2 minutes" })
      self.send(serve(2))
      self.timer("cold", "90 seconds", me.clean())
      self.cancelTimer("burnt")
    })
  ).when(me.clean())

  it.effect("are checked by name, delay and message, apart from what is sent at once", () =>
    turn.expect({
      timers: [
        { delay: 120_000, message: serve(1) },
        { name: "cold", delay: { minutes: 1.5 }, message: me.clean() }
      ],
      cancelledTimers: ["burnt"],
      sent: [serve(2)]
    })
  )

  it("are not as expected when one differs in anything", async () => {
    const cold = { name: "cold", delay: "90 seconds", message: me.clean() } as const
    const sent = { delay: "2 minutes", message: serve(1) } as const
    const wrong = [
      { timers: [] },
      { timers: [cold, sent] },
      { timers: [sent, { ...cold, name: "hot" }] },
      { timers: [sent, { ...cold, delay: "1 minute" }] },
      { timers: [sent, { ...cold, message: Kitchen.Stove.at("s-2").clean() }] },
      { timers: [{ ...sent, name: "sent" }, cold] },
      { timers: [{ ...sent, message: serve(2) }, cold] },
      { cancelledTimers: [] },
      { cancelledTimers: ["cold"] }
    ] as const
    for (const expected of wrong) assert.match((await failure(turn.expect(expected))).message, /imers not as expected/)
    assert.deepStrictEqual((await failure(turn.expect({ timers: [sent] }))).actual, {
      timers: [
        { delay: "2m", to: "room.Table.serve", key: "s-1", payload: { plates: 1 } },
        { name: "cold", delay: "1m 30s", to: "kitchen.Stove.clean", key: "s-1", payload: {} }
      ]
    })
  })
})

describe("a wrong expectation", () => {
  const turn = given(stove).when(me.cook({ dish: soup, at }))
  const json = { name: "soup", portions: 2 }

  it("fails with both sides, as JSON", async () => {
    const error = await failure(
      turn.expect({ reply: { ...soup, portions: 3 } as Dish, state: { cooked: 1, last: soup, busy: true }, sent: [] })
    )
    assert.strictEqual(error.name, "AssertionError")
    assert.strictEqual(error.message, "kitchen.Stove.cook: reply and sent not as expected")
    assert.deepStrictEqual(error.actual, {
      reply: json,
      state: { cooked: 1, last: json },
      sent: [{ to: "room.Table.serve", key: "s-1", payload: { plates: 4 } }]
    })
    assert.deepStrictEqual(error.expected, {
      reply: { ...json, portions: 3 },
      state: { cooked: 1, last: json },
      sent: []
    })
  })

  it.effect("fails an Effect test", () =>
    Effect.map(Effect.exit(turn.expect({ events: [] })), (exit) => assert.isTrue(Exit.isFailure(exit)))
  )

  it("fails for each part of a message", async () => {
    const wrong = [
      { sent: [Room.Table.at("s-2").serve({ plates: 4 })] },
      { sent: [Room.Table.at("s-1").serve({ plates: 5 })] },
      { sent: [Kitchen.Stove.at("s-1").clean()] },
      { events: [cooked.from("s-1", { dish: soup, at: new Date(6) })] },
      { events: [cooked.from("s-2", { dish: soup, at })] },
      { events: [cleaned.from("s-1", {})] },
      { events: [cooked.from("s-1", { dish: soup, at }), cleaned.from("s-1", {})] },
      { error: new Closed({ until: at }) },
      { state: new StoveState({ cooked: 1 }) }
    ]
    for (const expected of wrong) assert.include((await failure(turn.expect(expected))).message, "not as expected")
  })

  it("fails when the command is refused and the test does not say so", async () => {
    const error = await failure(
      given(stove, new StoveState({ cooked: 2 }))
        .when(me.cook({ dish: soup, at }))
        .expect({ events: [] })
    )
    assert.strictEqual(error.message, "kitchen.Stove.cook: error not as expected")
    assert.deepStrictEqual(error.actual, { error: { _tag: "Closed", until: "1970-01-01T00:00:01.000Z" }, events: [] })
  })

  it("says so when it is itself not what the contract declares", async () => {
    const told = async (expected: object, text: string) =>
      assert.include((await failure(turn.expect(expected))).message, text)
    await told(
      { reply: { name: "soup" } },
      'the expected reply of kitchen.Stove.cook is not what its schema says: Missing key\n  at ["portions"]'
    )
    await told({ state: { cooked: 1.5 } }, "the expected state after kitchen.Stove.cook is not what its schema says")
    await told(
      { error: new RangeError("x") },
      "the expected error of kitchen.Stove.cook is none that it declares: RangeError: x"
    )
    await told(
      { events: [{ type: "room.Table.laid", key: "s-1", payload: {} }] },
      "room.Table.laid is no event that kitchen.Stove.cook can emit"
    )
  })
})

describe("what the wire would refuse", () => {
  const told = async (expectation: Effect.Effect<void>, text: string) =>
    assert.include((await failure(expectation)).message, text)
  const cleaning = (clean: (self: Careless) => void) => given(stoveThat(clean)).when(me.clean()).expect({})

  it("fails on its way in", async () => {
    const dish = { name: "soup", portions: 1.5 } as Dish
    await told(
      given(stove).when(me.cook({ dish, at })).expect({}),
      "the payload of kitchen.Stove.cook is not what its schema says: Expected an integer"
    )
    await told(
      given(stove)
        .when(me.cook({ dish: soup, at: new Date(Number.NaN) }))
        .expect({}),
      "the payload of kitchen.Stove.cook"
    )
    await told(
      given(stove, { cooked: "1" } as never)
        .when(me.clean())
        .expect({}),
      "the given state is not what its schema says"
    )
    await told(
      given(waiter).when(cooked.from("s-1", { dish, at })).expect({}),
      "the payload of kitchen.Stove.cooked is not what its schema says"
    )
    for (const key of ["", "k".repeat(201)])
      await told(given(stove).when(Kitchen.Stove.at(key).clean()).expect({}), "has no subject token")
  })

  it("fails on its way out, although the test does not look at it", async () => {
    await told(
      cleaning((self) => self.set({ cooked: "many" })),
      "the state after kitchen.Stove.clean is not what its schema says"
    )
    await told(
      cleaning((self) => self.emit.cooked({ dish: soup })),
      "the payload of kitchen.Stove.cooked is not what its schema says"
    )
    await told(
      cleaning((self) => self.send(Room.Table.at("s-1").serve({ plates: Number.NaN }))),
      "the payload of room.Table.serve is not what its schema says"
    )
    await told(
      cleaning((self) => self.send(Room.Table.at("").serve({ plates: 1 }))),
      'the key "" of room.Table.serve has no subject token'
    )
    await told(
      cleaning((self) => self.fail(new Closed({ until: at }))),
      "an error of kitchen.Stove.clean is none that it declares"
    )
    await told(
      given(waiter)
        .when(cooked.from("", { dish: soup, at }))
        .expect({}),
      "has no subject token"
    )
  })

  it("fails when it is sent to an actor that is not listed, and not to itself", async () => {
    const other = { target: { ...me.clean().target, service: "bar" }, to: "bar.Stove.clean", key: "s-1", payload: {} }
    const text = "kitchen.Stove.clean sends bar.Stove.clean, which its `sends` does not list"
    for (const send of [
      (self: Careless) => self.send(other),
      (self: Careless) => self.send(other, { after: 1 }),
      (self: Careless) => self.timer("t", 1, other)
    ]) {
      await told(cleaning(send), text)
    }
    await check(
      given(stoveThat((self) => self.send(me.clean())))
        .when(me.clean())
        .expect({ sent: [me.clean()] })
    )
  })
})
