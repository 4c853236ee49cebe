import { assert, describe, it } from "@effect/vitest"
import { check } from "./src/invariants.ts"
import { accounts, type Journal, opening, type Wanted } from "./src/load.ts"
import type { Event, Stores } from "./src/stores.ts"

const [a, b] = accounts as [string, string]
const lost = { brokerLost: false, discarded: [] }

/** One transfer of 10 from the first account to the second, asked and answered; all else at rest. */
const good = (): { stores: Stores; journal: Journal } => {
  const event = (position: number, key: string, nth: number, balance: number, rest: Partial<Event> = {}): Event => {
    const one = { id: `e${position}`, partition: 0, position, key, nth, balance, what: "opened", transfer: null }
    return { cents: 10, ...one, ...rest } as Event
  }
  const events = [
    ...accounts.map((key, i) => event(i + 1, key, 1, opening)),
    event(101, a, 2, opening - 10, { what: "debited", transfer: "t" }),
    event(102, b, 2, opening + 10, { what: "credited", transfer: "t" })
  ]
  const asked: Wanted = { id: "t", how: "ask", known: { nth: 2, balance: opening - 10 } }
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
      unrelayed: []
    },
    journal: { wanted: new Map([["t", asked]]), problems: [], closed: true }
  }
}

const broken = (stores: Partial<Stores>, wanted: ReadonlyArray<Wanted> = []): ReadonlyArray<string> => {
  const { journal, stores: whole } = good()
  for (const one of wanted) journal.wanted.set(one.id, one)
  return check({ ...whole, ...stores }, journal, lost)
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
    ["asks were never answered", {}, [{ id: "u", how: "ask", known: "unknown" }]],
    ["asks were answered, and the state says otherwise", {}, [{ id: "u", how: "ask", known: { nth: 3, balance: 1 } }]],
    ["asks were refused, and applied", {}, [{ id: "t", how: "ask", known: "refused" }]],
    ["transfers were applied that the inbox does not know", { inbox: new Map() }],
    [
      "transfers were replied to, and not applied",
      { inbox: new Map([...stores.inbox, ["u", "reply"]]) },
      [{ id: "u", how: "send", known: "sent" }]
    ],
    ["enqueued transfers were never handled", { ordered: new Set(["u"]) }],
    [
      "transfers were handled whose transaction was rolled back",
      { inbox: new Map([...stores.inbox, ["u", "error"]]) },
      [{ id: "u", how: "enqueue", known: "unknown" }]
    ],
    ["sent transfers were never handled", {}, [{ id: "u", how: "send", known: "sent" }]],
    ["commits have a number that another one had", { marks: [{ partition: "p", commits: 3, numbers: 2, last: 2 }] }],
    ["no commit left its number", { marks: [] }],
    ["no transfer was applied", { events: events.slice(0, -2) }],
    ["numbers of commits are missing", { marks: [{ partition: "p", commits: 2, numbers: 2, last: 3 }] }],
    ["dead letters", { dead: ["it threw"] }],
    ["left at the end", { parked: 1 }],
    ["left at the end", { enqueued: 1 }],
    ["rows of the outbox are not relayed", { unrelayed: ["bank.outbox"] }]
  ]
  for (const [what, stores, wanted] of cases) it(`tell that ${what}`, () => told(broken(stores, wanted), what))

  it("take a credit that was discarded for money that is there", () => {
    const without = events.slice(0, -1)
    const balances = new Map([...states, [b, { nth: 1, balance: opening }]])
    const after = { ...stores, events: without, ledger: without, states: balances }
    const discarded = [{ transfer: "t", cents: 10 }]
    assert.deepStrictEqual(check(after, good().journal, { brokerLost: false, discarded }), [])
  })

  it("let a broker that was killed lose what was only sent", () => {
    const { journal, stores } = good()
    journal.wanted.set("u", { id: "u", how: "send", known: "sent" })
    assert.deepStrictEqual(check(stores, journal, { brokerLost: true, discarded: [] }), [])
  })
})
