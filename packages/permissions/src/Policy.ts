import { Consistency, Contract, Subject } from "@troupe/contract"
import type { Service } from "@troupe/service"
import type { Caller } from "./Caller.ts"

/** What one program may do: the least that its code runs with. Everything else is refused. */
export interface Policy {
  /** Of the NATS user, of the Postgres role, and in the inbox. */
  readonly name: string
  readonly nats: Nats
  /** Hosts beyond NATS and the database that it may connect to. */
  readonly net: ReadonlyArray<string>
  /** Whether it runs a service: only those have a database, and run by `troupe run`. */
  readonly kind: "service" | "caller"
}

/** Subjects of the one account that all users share. */
export interface Nats {
  readonly publish: ReadonlyArray<string>
  readonly subscribe: ReadonlyArray<string>
}

/** What the declarations of a service and its parts come to. Throws a `TypeError` for a part that sends beyond `allow.send`. */
export const ofService = (service: Service.Service): Policy => {
  const own = service.name
  const inbox = inboxOf(own)
  const known = [service.contract, ...(service.allow.send ?? [])].flatMap(Contract.actors)
  const actors = service.actors.map(({ ref }) => ref.name)
  const targets = sorted([
    // An actor may always send to its own kind.
    ...actors,
    ...[...service.actors, ...service.subscribers].flatMap(({ sends }) => sends.map(({ name }) => name))
  ])
  const commands = targets.flatMap((name) => {
    const target = known.find((actor) => actor.name === name)
    if (target === undefined) throw new TypeError(`${own} sends to ${name}, which its allow.send lacks`)
    return Object.values(target.commands).map(({ type }) => said("cmd", type))
  })
  const others = sorted(targets.map(serviceOf).filter((to) => to !== own))
  const events = Contract.actors(service.contract).flatMap(({ events }) =>
    Object.values(events).map(({ type }) => said("evt", type))
  )
  return {
    name: own,
    kind: "service",
    net: sorted(service.allow.net ?? []),
    nats: {
      publish: [
        ...sorted(events),
        ...sorted(commands),
        anyInbox,
        "$JS.API.INFO",
        `$JS.API.STREAM.CREATE.${places(own)}`,
        `$JS.API.STREAM.INFO.${places(own)}`,
        ...(["cmd", "evt"] as const).flatMap((kind) => {
          const stream = Subject.stream(kind, own)
          // All consumers of its own streams: it tells of those that Troupe did not make.
          return [`$JS.API.STREAM.CREATE.${stream}`, ...looks(stream), `$JS.API.CONSUMER.LIST.${stream}`]
        }),
        `$JS.API.STREAM.PURGE.${Subject.stream("cmd", own)}`,
        // For commands to actors that it does not have: the headers of all.
        `$JS.API.CONSUMER.CREATE.${Subject.stream("cmd", own)}.*`,
        `$JS.API.STREAM.MSG.DELETE.${Subject.stream("cmd", own)}`,
        ...actors.flatMap((name) => reads("cmd", own, name.slice(own.length + 1))),
        // How far the outbox of a service came in another's stream.
        ...others.flatMap((to) => looks(Subject.stream("cmd", to))),
        ...heard(service).flatMap(([from, actor]) => [
          ...(from === own ? [] : looks(Subject.stream("evt", from))),
          ...reads("evt", from, actor)
        ])
      ].filter(isFirst),
      // Who waits for its subscribers asks there.
      subscribe: [`${inbox}.>`, ...awaited(service.subscribers.map(({ name }) => `${own}.${name}`))]
    }
  }
}

/** What a caller may do: send these commands, hear these services, wait for these subscribers. */
export const ofCaller = (caller: Caller): Policy => ({
  name: caller.name,
  kind: "caller",
  net: [],
  nats: {
    publish: [
      ...sorted(caller.sends.map(({ type }) => said("cmd", type))),
      ...awaited(caller.awaits),
      ...sorted(caller.hears.map((contract) => contract["~service"])).flatMap((from) => {
        const stream = Subject.stream("evt", from)
        const place = Subject.place(from, caller.name, "*")
        return [
          ...looks(stream),
          // Its reader has no filter, and with one it would see no more.
          `$JS.API.CONSUMER.CREATE.${stream}.>`,
          ...uses(stream),
          // Of its own durable subscriptions.
          place,
          `$JS.API.DIRECT.GET.${places(from)}.${place}`
        ]
      })
    ],
    subscribe: [`${inboxOf(caller.name)}.>`]
  }
})

/** Where answers to a program arrive, and to no other. */
export const inboxOf = (name: string): string => `_INBOX.${name}`

/** To answer whoever asks, where it is not known who may. */
const anyInbox = "_INBOX.*.>"

/** Users that may do everything hear at the first without an inbox prefix, at the second with that of their name. */
const ofOperators = ["_INBOX.*.*", `${inboxOf("OPERATOR")}.>`]

/**
 * The policies of all programs of one NATS. Who may ask a service is known then, so a service may answer to the inboxes of those
 * callers and of operators only: a caller cannot aim the reply to its command at the inbox of a service, or of a caller of other
 * services.
 */
export const together = (policies: ReadonlyArray<Policy>): ReadonlyArray<Policy> =>
  policies.map((policy) => {
    const asks = new RegExp(`^(?:cmd|svc)\\.${policy.name}\\.`)
    const callers = policies.filter(({ kind, nats }) => kind === "caller" && nats.publish.some((one) => asks.test(one)))
    const inboxes = [...ofOperators, ...sorted(callers.map(({ name }) => `${inboxOf(name)}.>`))]
    const publish = policy.nats.publish.flatMap((one) => (one === anyInbox ? inboxes : [one]))
    return { ...policy, nats: { ...policy.nats, publish } }
  })

const places = (service: string): string => Subject.stream("place", service)

/** Where who waits for subscribers asks their owners. */
const awaited = (subscribers: ReadonlyArray<string>): ReadonlyArray<string> =>
  sorted(subscribers.flatMap((subscriber) => Consistency.subject(subscriber, "*") ?? []))

/** Of `orders.Order.placed`, for every key. */
const said = (kind: Subject.Kind, type: string): string => {
  const [service = "", actor = "", name = ""] = type.split(".")
  return Subject.published(kind, service, actor, name, "*")
}

/** Whether a stream is the one that it was, where it ends, and what it has at a place. */
const looks = (stream: string): ReadonlyArray<string> => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`
]

/** Ordered consumers, each with one filter: all that an actor, or with `undefined` all that a service, says in one partition. */
const reads = (kind: Subject.Kind, service: string, actor: string | undefined): ReadonlyArray<string> => {
  const stream = Subject.stream(kind, service)
  const filter = [kind, service, "*", ...(actor === undefined ? [] : [actor]), ">"].join(".")
  return [`$JS.API.CONSUMER.CREATE.${stream}.*.${filter}`, ...uses(stream)]
}

/** Of the consumers that it made; their names are drawn by chance, so of all of the stream. */
const uses = (stream: string): ReadonlyArray<string> => [
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`
]

/** The filters that the engine reads events with: one actor type where a subscriber listens to no other of that service. */
const heard = (service: Service.Service): ReadonlyArray<readonly [service: string, actor: string | undefined]> => {
  const filters = service.subscribers.flatMap(({ handlers }) => {
    const lanes = sorted([...handlers.keys()].map((type) => type.slice(0, type.lastIndexOf("."))))
    return lanes.map((lane) => {
      const from = serviceOf(lane)
      return lanes.some((other) => other !== lane && serviceOf(other) === from) ? from : lane
    })
  })
  return sorted(filters).map((filter) => [serviceOf(filter), filter.split(".")[1]] as const)
}

const serviceOf = (name: string): string => name.split(".", 1).join()
const isFirst = <A>(value: A, at: number, all: ReadonlyArray<A>): boolean => all.indexOf(value) === at
const sorted = (names: ReadonlyArray<string>): ReadonlyArray<string> => names.filter(isFirst).sort()
