import { assert, describe, it } from "@effect/vitest"
import { check } from "./src/invariants.ts"
import { accounts, journal, type Journal, opening, type Wanted } from "./src/load.ts"
import type { Event, Stores } from "./src/stores.ts"

const [a, b] = accounts as [string, string]
const calm = { brokerLost: false, lost: [], discarded: [] }
const wants = (id: string, how: Wanted["how"], known: Wanted["known"], more: Partial<Wanted> = {}): Wanted => ({
  id,
  how,
  transfer: id,
  from: a,
  to: b,
  cents: 10,
  begun: 0,
  ended: 1,
  known,
  ...more
})

/** One transfer of 10 from the first account to the second, asked and answered; all else at rest. */
const good = (): { stores: Stores; journal: Journal } => {
  const event = (position: number, key: string, nth: number, balance: number, rest: Partial<Event> = {}): Event => {
    const one = { id: `e${position}`, partition: 0, position, key, nth, balance, at: 0, what: "opened", transfer: null }
    return { cents: 10, ...one, ...rest } as Event
  }
  const events = [
    ...accounts.map((key, i) => event(i + 1, key, 1, opening)),
    event(101, a, 2, opening - 10, { what: "debited", transfer: "t" }),
    event(102, b, 2, opening + 10, { what: "credited", transfer: "t" })
  ]
  const asked = wants("t", "ask", { nth: 2, balance: opening - 10 })
  return {
    stores: {
      states: new Map(events.map(({ balance, key, nth }) => [key, { nth, balance }])),
      events,
      ledger: events,
      inbox: new Map([["t", "reply"]]),
      ordered: new Set(),
      marks: [{ partition: "bank.Account, partition 0", commits: 2, numbers: 2, last: 2 }],
      dead: [],
      parked: 0,
      enqueued: 0,
      timers: 0,
      unrelayed: []
    },
    journal: { ...journal(), wanted: new Map([["t", asked]]), closed: true }
  }
}

const broken = (stores: Partial<Stores>, wanted: ReadonlyArray<Wanted> = []): ReadonlyArray<string> => {
  const { journal, stores: whole } = good()
  for (const one of wanted) journal.wanted.set(one.id, one)
  return check({ ...whole, ...stores }, journal, calm)
}
const told = (violations: ReadonlyArray<string>, what: string): void =>
  assert.isTrue(
    violations.some((line) => line.startsWith(what)),
    `${what}: not in ${JSON.stringify(violations)}`
  )

describe("the invariants", () => {
  const { stores } = good()
  const { events, ledger, states } = stores
  const swapped = [...events.slice(0, -3), events.at(-2)!, events.at(-3)!, events.at(-1)!]

  it("hold where all is well", () => assert.deepStrictEqual(broken({}), []))

  const cases: ReadonlyArray<readonly [string, Partial<Stores>, ReadonlyArray<Wanted>?]> = [
    ["money is not conserved", { states: new Map([...states, [a, { nth: 2, balance: opening }]]) }],
    ["accounts are overdrawn", { states: new Map([...states, [a, { nth: 2, balance: -10 }]]) }],
    ["states are not what their events say", { states: new Map([...states, [a, { nth: 3, balance: opening - 10 }]]) }],
    ["states are not what their events say", { events: events.slice(0, -1) }],
    ["events are in the stream more than once", { events: [...events, events.at(-1)!] }],
    ["events are not in the order in which they were emitted", { events: [events.at(-2)!, ...events.slice(0, -2)] }],
    ["positions of a lane do not rise", { events: swapped }],
    [
      "balances do not add up",
      { events: events.map((event) => (event.transfer === null ? event : { ...event, cents: 9 })) }
    ],
    ["transfers were debited more than once", { events: [...events, { ...events.at(-2)!, id: "again" }] }],
    ["transfers were credited more than once", { events: [...events, { ...events.at(-1)!, id: "again" }] }],
    ["transfers were debited and not credited", { events: events.slice(0, -1) }],
    ["transfers were credited and not debited", { events: events.toSpliced(-2, 1) }],
    [
      "transfers were credited otherwise than debited",
      { events: [...events.slice(0, -1), { ...events.at(-1)!, cents: 9 }] }
    ],
    ["the ledger does not agree with the events", { ledger: ledger.slice(0, -1) }],
    ["the ledger does not agree with the events", { ledger: [...ledger, ledger.at(-1)!] }],
    ["asks were never answered", {}, [wants("u", "ask", "unknown")]],
    ["asks were answered, and the state says otherwise", {}, [wants("u", "ask", { nth: 3, balance: 1 })]],
    ["asks were refused, and applied", {}, [wants("t", "ask", "refused")]],
    ["transfers were applied that the inbox does not know", { inbox: new Map() }],
    [
      "transfers were replied to, and not applied",
      { inbox: new Map([...stores.inbox, ["u", "reply"]]) },
      [wants("u", "send", "sent")]
    ],
    ["enqueued transfers were never handled", { ordered: new Set(["u"]) }],
    [
      "transfers were handled whose transaction was rolled back",
      { inbox: new Map([...stores.inbox, ["u", "error"]]) },
      [wants("u", "enqueue", "unknown")]
    ],
    ["sent transfers were never handled", {}, [wants("u", "send", "sent")]],
    ["commits have a number that another one had", { marks: [{ partition: "p", commits: 3, numbers: 2, last: 2 }] }],
    ["no commit left its number", { marks: [] }],
    ["no transfer was applied", { events: events.slice(0, -2) }],
    ["numbers of commits are missing", { marks: [{ partition: "p", commits: 2, numbers: 2, last: 3 }] }],
    ["dead letters", { dead: ["it threw"] }],
    ["left at the end", { parked: 1 }],
    ["left at the end", { enqueued: 1 }],
    ["left at the end", { timers: 1 }],
    ["rows of the outbox are not relayed", { unrelayed: ["bank.outbox"] }]
  ]
  for (const [what, stores, wanted] of cases) it(`tell that ${what}`, () => told(broken(stores, wanted), what))

  it("take a credit that was discarded for money that is there", () => {
    const without = events.slice(0, -1)
    const balances = new Map([...states, [b, { nth: 1, balance: opening }]])
    const after = { ...stores, events: without, ledger: without, states: balances }
    const discarded = [{ transfer: "t", cents: 10 }]
    assert.deepStrictEqual(check(after, good().journal, { ...calm, discarded }), [])
  })

  it("let a broker that was killed lose what was only sent", () => {
    const { journal, stores } = good()
    journal.wanted.set("u", wants("u", "send", "sent"))
    assert.deepStrictEqual(check(stores, journal, { ...calm, brokerLost: true }), [])
  })

  const window = { ...calm, lost: [{ from: 100, to: 200 }] }

  it("let events be in the stream again after the database was set back, if they say the same", () => {
    const again = { ...stores, events: [...events, { ...events.at(-1)!, position: 103 }] }
    assert.deepStrictEqual(check(again, good().journal, window), [])
    told(check(again, good().journal, calm), "events are in the stream more than once")
    const other = { ...stores, events: [...events, { ...events.at(-1)!, position: 103, cents: 9 }] }
    told(check(other, good().journal, window), "events that were emitted again say something else")
  })

  it("let a plain transaction be lost with the database, and no other", () => {
    const after = { ...stores, inbox: new Map([...stores.inbox, ["u", "error"]]) }
    const enqueued = (begun: number, ended: number) => {
      const { journal } = good()
      journal.wanted.set("u", wants("u", "enqueue", "sent", { begun, ended }))
      return check(after, journal, window)
    }
    assert.deepStrictEqual(enqueued(150, 160), [])
    told(enqueued(50, 60), "transfers were handled whose transaction was rolled back")
  })

  it("take an answer of the lost time for one that stays", () => {
    const { journal } = good()
    journal.wanted.set("u", wants("u", "ask", { nth: 3, balance: 1 }, { begun: 150, ended: 160 }))
    told(check(stores, journal, window), "asks were answered, and the state says otherwise")
  })
})

describe("a hold", () => {
  const hold = "hold t"
  /** The transfer goes to a hold, which does `steps` one after the other; then an account is credited. */
  const held = (steps: ReadonlyArray<"held" | "settled" | "returned">, to: string): Stores => {
    const { stores } = good()
    const [debit, credit] = stores.events.slice(-2) as [Event, Event]
    const before = stores.events.slice(0, -1)
    const changes = steps.map((what, i) => ({
      ...debit,
      id: what,
      key: hold,
      what,
      nth: i + 1,
      balance: i === 0 ? 10 : 0,
      position: 110 + i,
      at: 20_000
    }))
    const last = { ...credit, key: to, position: 120 }
    const back = to === a ? { nth: 3, balance: opening } : { nth: 2, balance: opening + 10 }
    const events = [...before, ...changes, { ...last, ...back }]
    const states = new Map([...stores.states, [hold, { nth: steps.length, balance: 0 }], [to, back]])
    if (to === a) states.set(b, { nth: 1, balance: opening })
    return { ...stores, events, ledger: events, states }
  }
  const wanted = (...more: ReadonlyArray<Wanted>): Journal => {
    const first = wants("t", "reserve", { nth: 2, balance: opening - 10 })
    return { ...journal(), wanted: new Map([first, ...more].map((one) => [one.id, one])), closed: true }
  }
  const settled = wants("s", "settle", { nth: 2, balance: 0 }, { transfer: "t" })
  const accepted = (stores: Stores): Stores => ({ ...stores, inbox: new Map([...stores.inbox, ["s", "reply"]]) })

  it("is settled or returned", () => {
    assert.deepStrictEqual(check(accepted(held(["held", "settled"], b)), wanted(settled), calm), [])
    assert.deepStrictEqual(check(held(["held", "returned"], a), wanted(), calm), [])
  })

  it("is not both", () =>
    told(
      check(held(["held", "settled", "returned"], b), wanted(settled), calm),
      "transfers were both settled and returned"
    ))

  it("does not keep the money", () =>
    told(check(held(["held"], b), wanted(), calm), "holds were never settled nor returned"))

  it("credits the account that its end says", () =>
    told(check(held(["held", "settled"], a), wanted(settled), calm), "holds were credited to the wrong account"))

  it("is not returned before its time", () => {
    const late = { ...wants("t", "reserve", { nth: 2, balance: opening - 10 }), begun: 5_000 }
    told(check(held(["held", "returned"], a), wanted(late), calm), "timers fired before their time")
  })

  it("is settled when that was answered, and not when it was refused", () => {
    told(
      check(held(["held", "returned"], a), wanted(settled), calm),
      "asks were answered, and the state says otherwise"
    )
    const refused = { ...settled, known: "refused" } as const
    told(check(held(["held", "settled"], b), wanted(refused), calm), "asks were refused, and applied")
  })
})
