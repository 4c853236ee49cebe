import { held } from "./bank.ts"
import { accounts, type Journal, opening, type Wanted } from "./load.ts"
import type { Change, Event, Stores } from "./stores.ts"

export interface Options {
  /** The broker was set back or killed: what was only sent, and not asked or enqueued, may be lost with it. */
  readonly brokerLost: boolean
  /**
   * The database was set back: what was committed in each of these times is lost, and made again from the history of the
   * streams. Then, as the README promises:
   *
   * - What an actor handled is handled again, all of it, with the same answers and events. So the events are in the
   *   stream a second time, under their ids and with their content, and readers drop them by id.
   * - An answer that was given stays, also a refusal; so does what a timer did or did not do.
   * - A plain transaction is lost, as in any database that is set back. Its command is kept if it had already been
   *   relayed: it is handled then, without the rows that were written beside it.
   */
  readonly lost: ReadonlyArray<Lost>
  readonly discarded: ReadonlyArray<Discarded>
}

/** Commits between these times, in ms since 1970, were lost with the database. */
export interface Lost {
  readonly from: number
  readonly to: number
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
    sequences(stores, options),
    transfers(stores, options),
    holds(stores, journal),
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

const sequences = ({ events, states }: Stores, { lost }: Options): ReadonlyArray<string> => {
  const ids = Map.groupBy(events, ({ id }) => id)
  const first = [...ids.values()].map(([event]) => event!)
  const keys = byKey(first)
  const lanes = new Map<number, number>()
  return [
    ...(lost.length > 0
      ? none("events that were emitted again say something else", ids, ([id, all]) => {
          const other = all.find((event) => content(event) !== content(all[0]!))
          return other !== undefined && `${id}: ${content(all[0]!)}, then ${content(other)}`
        })
      : none(
          "events are in the stream more than once",
          ids,
          ([id, all]) => all.length > 1 && `${id}, ${all.length} times`
        )),
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
      return before !== undefined && before + gain(event) !== event.balance && `${event.key}, change ${event.nth}`
    })
  ]
}

const gain = ({ cents, what }: Event): number => {
  if (what === "opened") return opening
  return what === "credited" || what === "held" ? cents : -cents
}

const content = ({ balance, cents, key, nth, transfer, what }: Event): string =>
  `${key} ${nth} ${what} ${balance} ${transfer ?? "-"} ${cents}`

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

/** Money that was held went one way: to the account that it was settled to, or by its timer, and in time, back. */
const holds = ({ events }: Stores, { wanted }: Journal): ReadonlyArray<string> => {
  const once = [...new Map(events.map((event) => [event.id, event])).values()]
  const of = (what: Event["what"]) =>
    new Map(once.flatMap((event) => (event.what === what ? [[event.transfer!, event]] : [])))
  const [credited, kept, settled, returned] = [of("credited"), of("held"), of("settled"), of("returned")]
  return [
    ...none("transfers were both settled and returned", settled.keys(), (id) => returned.has(id) && id),
    ...none("holds were never settled nor returned", kept.keys(), (id) => !settled.has(id) && !returned.has(id) && id),
    ...none("holds were credited to the wrong account", kept.keys(), (id) => {
      const one = wanted.get(id)
      const credit = credited.get(id)
      const to = settled.has(id) ? one?.to : one?.from
      return one !== undefined && credit !== undefined && credit.key !== to && `${id}: ${credit.key}, not ${to}`
    }),
    ...none("timers fired before their time", returned, ([id, { at }]) => {
      const begun = wanted.get(id)?.begun
      return begun !== undefined && at - begun < held && `${id}: after ${Math.round(at - begun)} ms`
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
  const of = (...hows: ReadonlyArray<Wanted["how"]>) => [...wanted.values()].filter(({ how }) => hows.includes(how))
  const byTransfer = (what: Event["what"]) =>
    new Map(events.flatMap((event) => (event.what === what ? [[event.transfer!, event]] : [])))
  const debits = byTransfer("debited")
  const settled = byTransfer("settled")
  const asks = of("ask", "reserve", "settle")
  const applied = ({ how, id, transfer }: Wanted) => (how === "settle" ? settled.get(transfer) : debits.get(id))
  const acceptances = Map.groupBy(
    of("settle").filter(({ known }) => typeof known !== "string"),
    ({ transfer }) => transfer
  )
  /** Committed in a plain transaction, or perhaps, that was lost with the database. */
  const wasLost = ({ begun, ended = Infinity }: Wanted) =>
    options.lost.some(({ from, to }) => begun <= to && ended >= from)
  return [
    ...none("asks were never answered", asks, ({ id, known }) => known === "unknown" && id),
    ...none("asks were answered, and the state says otherwise", asks, (one) => {
      const { id, known } = one
      if (typeof known === "string") return false
      const change = applied(one)
      return (change?.nth !== known.nth || change.balance !== known.balance) && `${id}: ${said(known)}, ${said(change)}`
    }),
    // Of a settlement only if no other one of the same hold was accepted.
    ...none(
      "asks were refused, and applied",
      asks,
      (one) =>
        one.known === "refused" &&
        !acceptances.has(one.transfer) &&
        applied(one) !== undefined &&
        `${one.id}: ${one.answer ?? ""}`
    ),
    ...none(
      "transfers were applied that the inbox does not know",
      debits.keys(),
      (id) => inbox.get(id) !== "reply" && id
    ),
    ...none("transfers were replied to, and not applied", inbox, ([id, outcome]) => {
      const one = wanted.get(id)
      return outcome === "reply" && one !== undefined && applied(one) === undefined && id
    }),
    ...none("enqueued transfers were never handled", ordered, (id) => !inbox.has(id) && id),
    ...none(
      "transfers were handled whose transaction was rolled back",
      of("enqueue"),
      (one) => inbox.has(one.id) && !ordered.has(one.id) && !wasLost(one) && one.id
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

const leftovers = ({ dead, enqueued, parked, timers, unrelayed }: Stores): ReadonlyArray<string> => [
  ...none("dead letters", dead, (letter) => letter),
  ...none("left at the end", Object.entries({ enqueued, parked, timers }), ([what, n]) => n > 0 && `${n} ${what}`),
  ...none("rows of the outbox are not relayed", unrelayed, (rows) => rows)
]
