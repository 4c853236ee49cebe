import type { Actor, Subscriber } from "@troupe/actor"
import type { Refused } from "@troupe/actor/Handler"
import type { Contract } from "@troupe/contract"

type Owned<C> = {
  [P in keyof C]: C[P] extends { readonly kind: "actor"; readonly name: infer N extends string } ? N : never
}[keyof C]
type NameOf<T> = T extends { readonly ref: { readonly name: infer N extends string } } ? N : never
type ServiceOf<Target> = Target extends `${infer S}.${string}` ? S : never
type SendsOf<T> = T extends { readonly sends: ReadonlyArray<{ readonly name: infer N }> } ? ServiceOf<N> : never

type Absent<C, Given> =
  Exclude<Owned<C>, Given> extends infer Missing extends string
    ? [Missing] extends [never]
      ? unknown
      : { readonly actors: Refused<`${Missing} is in the contract, but no actor here implements it`> }
    : never
type Forbidden<Own, Sends, Allow> =
  Exclude<Sends, Own | Allow> extends infer Missing extends string
    ? [Missing] extends [never]
      ? unknown
      : {
          readonly allow: Refused<`this service sends to ${Missing}: add its contract to allow.send, or stop sending`>
        }
    : never

/** What `troupe run` starts. */
export interface Service {
  readonly "~troupe": "service"
  readonly name: string
  readonly contract: Contract.AnyContract
  readonly actors: ReadonlyArray<Actor.AnyActor | Actor.AnyRemote>
  readonly subscribers: ReadonlyArray<Subscriber.AnySubscriber>
  readonly allow: Allow
}
/** What a service may do to others: the ceiling for what its parts list in `sends`. */
export interface Allow {
  /** Contracts of other services that this one may send commands to. */
  readonly send?: ReadonlyArray<Contract.AnyContract>
  /**
   * Hosts beyond NATS and the database that its process may connect to: `api.example.com`, or `api.example.com:443` for one
   * port. Deno lets it reach no others (`troupe permissions --format deno`); no other runtime holds a process to it.
   */
  readonly net?: ReadonlyArray<string>
}

/** A name, an IPv4 address or an IPv6 address in brackets, and a port or none. */
const netHost = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$/

/**
 * Makes the service that `troupe run` starts. Every part of the contract must be there, and nothing else is allowed. Throws a
 * `TypeError` for two consumers of one name, and for what is no host in `allow.net`.
 */
export const make = <
  C extends Contract.AnyContract,
  const Actors extends ReadonlyArray<Actor.AnyActor | Actor.AnyRemote> = [],
  const Subscribers extends ReadonlyArray<Subscriber.AnySubscriber> = [],
  const Sends extends ReadonlyArray<Contract.AnyContract> = []
>(
  contract: C,
  options: {
    readonly actors?: Actors
    readonly subscribers?: Subscribers
    readonly allow?: { readonly send?: Sends; readonly net?: ReadonlyArray<string> }
  } & Absent<C, NameOf<Actors[number]>> &
    Forbidden<C["~service"], SendsOf<Actors[number] | Subscribers[number]>, Sends[number]["~service"]>
): Service => {
  const names = (options.subscribers ?? []).map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) < i || name === "outbox" || name === "unclaimed")
  if (twice !== undefined) throw new TypeError(`${contract["~service"]} has two consumers named "${twice}"`)
  const wrong = options.allow?.net?.find((host) => !netHost.test(host))
  if (wrong !== undefined)
    throw new TypeError(`"${wrong}" in allow.net is no host: write api.example.com or api.example.com:443`)
  return {
    "~troupe": "service",
    name: contract["~service"],
    contract,
    actors: options.actors ?? [],
    subscribers: options.subscribers ?? [],
    allow: options.allow ?? {}
  }
}
