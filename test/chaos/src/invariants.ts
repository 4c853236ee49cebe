import { accounts, type Journal, opening } from "./load.ts"
import type { Change, Event, Stores } from "./stores.ts"

export interface Options {
  /** The broker was set back or killed: what was only sent, and not asked or enqueued, may be lost with it. */
  readonly brokerLost: boolean
  readonly discarded: ReadonlyArray<Discarded>
}

/** A credit that an operator threw away. */
export interface Discarded {
  readonly transfer: string
  readonly cents: number
}

/** What a run broke of what was promised; nothing, if all is well. Pure: it knows what the stores and the clients say. */
export const check = (stores: Stores, journal: Journal, options: Options): ReadonlyArray<string> =>
  [
    money(stores, options),
    sequences(stores),
    transfers(stores, options),
    ledger(stores),
    answers(stores, journal, options),
    marks(stores),
    leftovers(stores),
    journal.problems.length > 0 ? [some("clients met errors that they should not", journal.problems)] : []
  ].flat()

const some = (what: string, examples: ReadonlyArray<string>): string =>
  `${what}: ${examples.length}, as ${examples.slice(0, 3).join("; ")}`

/** One line for all that are so. */
const none = <A>(what: string, all: Iterable<A>, is: (one: A) => string | false | undefined): ReadonlyArray<string> => {
  const found = [...all].flatMap((one) => is(one) || [])
  return found.length === 0 ? [] : [some(what, found)]
}

const money = (stores: Stores, { discarded }: Options): ReadonlyArray<string> => {
  const balances = [...stores.states.values()].reduce((sum, { balance }) => sum + balance, 0)
  const away = discarded.reduce((sum, { cents }) => sum + cents, 0)
  const wanted = accounts.length * opening
  return [
    ...(balances + away === wanted
      ? []
      : [`money is not conserved: ${balances} in accounts and ${away} discarded are not ${wanted}`]),
    ...none("accounts are overdrawn", stores.states, ([key, { balance }]) => balance < 0 && `${key} has ${balance}`)
  ]
}

const byKey = <A extends Change>(changes: ReadonlyArray<A>) => Map.groupBy(changes, ({ key }) => key)

const sequences = ({ events, states }: Stores): ReadonlyArray<string> => {
  const ids = Map.groupBy(events, ({ id }) => id)
  const first = [...ids.values()].map(([event]) => event!)
  const keys = byKey(first)
  const lanes = new Map<number, number>()
  return [
    ...none(
      "events are in the stream more than once",
      ids,
      ([id, all]) => all.length > 1 && `${id}, ${all.length} times`
    ),
    ...none("events are not in the order in which they were emitted", keys, ([key, changes]) => {
      const i = changes.findIndex(({ nth }, i) => nth !== i + 1)
      return i >= 0 && `${key}: ${changes[i]!.nth} where ${i + 1} should be`
    }),
    ...none("positions of a lane do not rise", first, ({ partition, position }) => {
      const before = lanes.get(partition) ?? 0
      lanes.set(partition, position)
      return position <= before && `partition ${partition}: ${position} after ${before}`
    }),
    ...none("states are not what their events say", new Set([...states.keys(), ...keys.keys()]), (key) => {
      const state = states.get(key)
      const last = keys.get(key)?.at(-1)
      return (
        (state?.nth !== last?.nth || state?.balance !== last?.balance) &&
        `${key}: ${said(state)}, and its last event says ${said(last)}`
      )
    }),
    ...none("balances do not add up", first, (event) => {
      const before = event.nth === 1 ? 0 : keys.get(event.key)!.find(({ nth }) => nth === event.nth - 1)?.balance
      const cents = event.what === "opened" ? opening : event.what === "debited" ? -event.cents : event.cents
      return before !== undefined && before + cents !== event.balance && `${event.key}, change ${event.nth}`
    })
  ]
}

const said = (one: { readonly nth: number; readonly balance: number } | undefined): string =>
  one === undefined ? "nothing" : `change ${one.nth}, balance ${one.balance}`

const transfers = (stores: Stores, { discarded }: Options): ReadonlyArray<string> => {
  // Repeated events are told elsewhere.
  const once = new Map(stores.events.map((event) => [event.id, event]))
  const of = (what: Event["what"]) =>
    Map.groupBy(
      [...once.values()].filter((event) => event.what === what),
      ({ transfer }) => transfer!
    )
  const debits = of("debited")
  const credits = of("credited")
  const away = new Set(discarded.map(({ transfer }) => transfer))
  const twice = (what: string, by: ReadonlyMap<string, ReadonlyArray<Event>>) =>
    none(`transfers were ${what} more than once`, by, ([id, all]) => all.length > 1 && `${id}, ${all.length} times`)
  return [
    ...(debits.size > 0 ? [] : ["no transfer was applied: nothing can be said of them"]),
    ...twice("debited", debits),
    ...twice("credited", credits),
    ...none("transfers were debited and not credited", debits.keys(), (id) => !credits.has(id) && !away.has(id) && id),
    ...none("transfers were credited and not debited", credits.keys(), (id) => !debits.has(id) && id),
    ...none("transfers were credited otherwise than debited", credits, ([id, [credit]]) => {
      const debit = debits.get(id)?.[0]
      return debit !== undefined && debit.cents !== credit!.cents && `${id}: ${debit.cents} and ${credit!.cents}`
    })
  ]
}

const ledger = (stores: Stores): ReadonlyArray<string> => {
  const events = byKey([...new Map(stores.events.map((event) => [event.id, event])).values()])
  const rows = byKey(stores.ledger)
  const line = ({ balance, nth, transfer, what }: Change) => `${nth} ${what} ${balance} ${transfer ?? "-"}`
  return none("the ledger does not agree with the events", new Set([...events.keys(), ...rows.keys()]), (key) => {
    const emitted = events.get(key) ?? []
    const written = rows.get(key) ?? []
    const i = Math.max(emitted.length, written.length)
    const off = Array.from({ length: i }, (_, i) => i).find(
      (i) => emitted[i] === undefined || written[i] === undefined || line(emitted[i]) !== line(written[i])
    )
    if (off === undefined) return undefined
    const at = (all: ReadonlyArray<Change>) => (all[off] === undefined ? "nothing" : line(all[off]))
    return `${key}: ${at(written)} where ${at(emitted)} should be`
  })
}

const answers = ({ events, inbox, ordered }: Stores, { wanted }: Journal, options: Options): ReadonlyArray<string> => {
  const debits = new Map(events.flatMap((event) => (event.what === "debited" ? [[event.transfer!, event]] : [])))
  const of = (how: string) => [...wanted.values()].filter((one) => one.how === how)
  return [
    ...none("asks were never answered", of("ask"), ({ id, known }) => known === "unknown" && id),
    ...none("asks were answered, and the state says otherwise", of("ask"), ({ id, known }) => {
      if (typeof known === "string") return false
      const debit = debits.get(id)
      return (debit?.nth !== known.nth || debit.balance !== known.balance) && `${id}: ${said(known)}, ${said(debit)}`
    }),
    ...none(
      "asks were refused, and applied",
      of("ask"),
      ({ id, known }) => known === "refused" && debits.has(id) && id
    ),
    ...none(
      "transfers were applied that the inbox does not know",
      debits.keys(),
      (id) => inbox.get(id) !== "reply" && id
    ),
    ...none(
      "transfers were replied to, and not applied",
      inbox,
      ([id, outcome]) => outcome === "reply" && wanted.has(id) && !debits.has(id) && id
    ),
    ...none("enqueued transfers were never handled", ordered, (id) => !inbox.has(id) && id),
    ...none(
      "transfers were handled whose transaction was rolled back",
      of("enqueue"),
      ({ id }) => inbox.has(id) && !ordered.has(id) && id
    ),
    ...(options.brokerLost
      ? []
      : none(
          "sent transfers were never handled",
          of("send"),
          ({ id, known }) => known === "sent" && !inbox.has(id) && id
        ))
  ]
}

const marks = (stores: Stores): ReadonlyArray<string> => [
  ...(stores.marks.length > 0 ? [] : ["no commit left its number: nothing can be said of them"]),
  ...none(
    "commits have a number that another one had",
    stores.marks,
    ({ commits, numbers, partition }) => commits !== numbers && `${partition}: ${commits} commits, ${numbers} numbers`
  ),
  ...none(
    "numbers of commits are missing",
    stores.marks,
    ({ last, numbers, partition }) => last !== numbers && `${partition}: ${numbers} numbers up to ${last}`
  )
]

const leftovers = ({ dead, enqueued, parked, unrelayed }: Stores): ReadonlyArray<string> => [
  ...none("dead letters", dead, (letter) => letter),
  ...none("left at the end", Object.entries({ enqueued, parked }), ([what, n]) => n > 0 && `${n} ${what}`),
  ...none("rows of the outbox are not relayed", unrelayed, (rows) => rows)
]
