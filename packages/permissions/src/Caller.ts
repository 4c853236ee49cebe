import { Consistency, type Contract } from "@troupe/contract"

type Command = Contract.CommandRef<string, Contract.AnyCommand>

/** A program of another team that uses the SDK: what it may ask of services, and whose events it may hear. */
export interface Caller {
  readonly "~troupe": "caller"
  readonly name: string
  readonly sends: ReadonlyArray<Command>
  readonly hears: ReadonlyArray<Contract.AnyContract>
  readonly awaits: ReadonlyArray<string>
}

/**
 * Declares a caller. `name` is its NATS user, one token in lower case. `sends`: the commands that it may send, such as
 * `Orders.Order.commands.place`. `hears`: the services whose events it may read, each with all its events: a stream is
 * read whole or not at all. `awaits`: the subscribers that it may wait for with `after`, such as `orders.overview`.
 */
export const make = (
  name: string,
  options: {
    readonly sends?: ReadonlyArray<Command>
    readonly hears?: ReadonlyArray<Contract.AnyContract>
    readonly awaits?: ReadonlyArray<`${string}.${string}`>
  }
): Caller => {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name))
    throw new TypeError(`"${name}" is no name for a caller: lower case, at most 40`)
  const awaits = options.awaits ?? []
  const bad = awaits.find((subscriber) => Consistency.subject(subscriber, "*") === undefined)
  if (bad !== undefined) throw new TypeError(`"${bad}" is no subscriber: it must be <service>.<name>`)
  return { "~troupe": "caller", name, sends: options.sends ?? [], hears: options.hears ?? [], awaits }
}

/** Whether a value is a caller, of any copy of this package. */
export const is = (value: unknown): value is Caller =>
  typeof value === "object" && value !== null && "~troupe" in value && value["~troupe"] === "caller"
