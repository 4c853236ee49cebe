import { Contract, EventWire, Subject, type Target } from "@troupe/contract"
import * as Schema from "effect/Schema"
import type { AnyActor, AnyRemote } from "../Actor.ts"
import * as State from "../State.ts"
import type { AnySubscriber } from "../Subscriber.ts"

/** An actor or a subscriber of a service, as the engine runs it. */
export interface Consumer {
  readonly part: AnyActor | AnyRemote | AnySubscriber
  readonly service: string
  /** Of the service that runs it; on what it stages. */
  readonly contract: number
  /** `orders.Order` or `shipping.fulfilment`: names its rows in the database for good. */
  readonly name: string
  /** Its number in the database. */
  readonly id: number
  readonly sources: ReadonlyArray<Source>
  readonly state: State.StateWire
  /** The state of a key that was never written. */
  readonly initial: unknown
  /** A key waits for an operator after a message that was given up. */
  readonly blocks: boolean
  /** Commands by name, for an actor. */
  readonly commands: ReadonlyMap<string, Target>
  /** Events by type: those a subscriber listens to, or those an actor emits. */
  readonly events: ReadonlyMap<string, EventWire.EventWire>
  /** Actors to whose events a subscriber listens: `orders.Order`. */
  readonly lanes: ReadonlySet<string>
  /** Actors that it may send commands to. */
  readonly sends: ReadonlySet<string>
  /** Message types whose handlers were seen to use `Db`: their turns run in a transaction at once. */
  readonly usesDb: Set<string>
}

/** A stream that a consumer reads, with one filter per partition. */
export interface Source {
  readonly stream: string
  readonly kind: Subject.Kind
  readonly filter: (partition: number) => string
  /** Only what is for none of these actors is handled, and nothing but headers is read of the rest. */
  readonly claimed?: ReadonlySet<string>
}

export const ofActor = (service: Contract.AnyContract, actor: AnyActor | AnyRemote, id: number): Consumer => {
  const { definition, events, name } = actor.ref
  const [, type] = name.split(".") as [string, string]
  const commands = Object.entries(actor.ref.commands).map(([command, ref]) => [command, ref.target] as const)
  return {
    part: actor,
    service: service["~service"],
    contract: service["~version"],
    name,
    id,
    sources: [
      {
        stream: Subject.stream("cmd", service["~service"]),
        kind: "cmd",
        filter: (p) => Subject.filter("cmd", service["~service"], p, type)
      }
    ],
    ...stateOf(actor),
    blocks: definition.whenDead === "block",
    commands: new Map(commands),
    events: new Map(
      Object.entries(definition.events).map(([event, type]) => [events[event]!.type, EventWire.make(type)])
    ),
    lanes: new Set(),
    sends: new Set([...actor.sends.map((ref) => ref.name), name]),
    usesDb: new Set()
  }
}

export const ofSubscriber = (service: Contract.AnyContract, subscriber: AnySubscriber, id: number): Consumer => {
  const listeners = [...subscriber.handlers.values()]
  const actorsOf = new Map<string, Set<string>>()
  for (const { event } of listeners) {
    const [from, actor] = event.type.split(".") as [string, string]
    actorsOf.set(from, (actorsOf.get(from) ?? new Set()).add(actor))
  }
  const sources = [...actorsOf].map(([from, actors]): Source => {
    // One filter string: the one actor type that it listens to, or everything of the partition.
    const only = actors.size === 1 ? [...actors][0] : undefined
    return { stream: Subject.stream("evt", from), kind: "evt", filter: (p) => Subject.filter("evt", from, p, only) }
  })
  return {
    part: subscriber,
    service: service["~service"],
    contract: service["~version"],
    name: `${service["~service"]}.${subscriber.name}`,
    id,
    sources,
    ...stateOf(subscriber),
    blocks: subscriber.whenDead === "block",
    commands: new Map(),
    events: new Map(listeners.map(({ event }) => [event.type, EventWire.make(event.definition)])),
    lanes: new Set(listeners.map(({ event }) => event.type.slice(0, event.type.lastIndexOf(".")))),
    sends: new Set(subscriber.sends.map((ref) => ref.name)),
    usesDb: new Set()
  }
}

/** Handles, by refusing it, what is sent to actors that a service does not have. It has one partition. */
export const ofUnclaimed = (
  service: Contract.AnyContract,
  actors: ReadonlyArray<AnyActor | AnyRemote>,
  id: number
): Consumer => {
  const name = service["~service"]
  const { Unclaimed } = Contract.make(name, { Unclaimed: Nobody })
  return {
    part: { kind: "actor", ref: Unclaimed, state: State.of(Schema.Null), initial: null, sends: [], handlers: {} },
    service: name,
    contract: service["~version"],
    name: `${name}.${unclaimed}`,
    id,
    sources: [
      {
        stream: Subject.stream("cmd", name),
        kind: "cmd",
        filter: () => `cmd.${name}.>`,
        claimed: new Set(actors.map(({ ref }) => ref.name.slice(name.length + 1)))
      }
    ],
    state: State.wire(State.of(Schema.Null)),
    initial: null,
    blocks: false,
    commands: new Map(),
    events: new Map(),
    lanes: new Set(),
    sends: new Set(),
    usesDb: new Set()
  }
}
/** The name of the consumer, and so of no subscriber. */
export const unclaimed = "unclaimed"
class Nobody extends Contract.actor({ key: Schema.String, commands: {}, events: {} }) {}

/** Throws when the part's initial state is not what its schema says: the service does not start. */
const stateOf = (part: Consumer["part"]): Pick<Consumer, "state" | "initial"> => {
  const state = State.wire(part.state)
  const initial = state.encode(part.initial)
  if (!initial.ok)
    throw new TypeError(`the initial state of ${part.kind === "actor" ? part.ref.name : part.name}: ${initial.why}`)
  return { state, initial: initial.value }
}
