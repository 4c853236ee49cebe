import * as Key from "./Key.ts"

/** Where the events of a turn stand: a subscriber that is past it has handled them. */
export interface Place {
  readonly service: string
  readonly actor: string
  readonly partition: number
  /** Of the turn's last event in its lane; 0: the turn said none. */
  readonly position: number
  /** The subject token of the turn's key. */
  readonly key: string
}

/** The header of a reply with the place of its turn, as text. Errors and rejections stage nothing, and have none. */
export const header = "Troupe-Consistency"

/** A place as a consistency token: printable ASCII, at most 400 characters, `orders.Order.7.42.o-1`. */
export const text = ({ actor, key, partition, position, service }: Place): string =>
  `${service}.${actor}.${partition}.${position}.${key}`

/** Reads a consistency token; `undefined` when it is none. */
export const parse = (token: string): Place | undefined => {
  const [, service, actor, partition, position, key] = token.length > 400 ? [] : (shape.exec(token) ?? [])
  if (service === undefined || actor === undefined || key === undefined || Key.decode(key) === undefined)
    return undefined
  const place = { service, actor, partition: Number(partition), position: Number(position), key }
  return Number.isSafeInteger(place.position) ? place : undefined
}
const shape = /^([a-z][a-z0-9-]{0,39})\.([A-Z][A-Za-z0-9]{0,59})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,15})\.([^.]+)$/

/**
 * Where the owner of a partition of a subscriber hears who waits for it: a core NATS request, the token as its body. It
 * answers to `Troupe-Reply-To`, which no border between accounts renames, or else to the request's own reply subject.
 * `undefined` when the subscriber's name is none: `<service>.<name>`, as in `orders.overview`.
 */
export const subject = (subscriber: string, partition: number | "*"): string | undefined => {
  const [, service, name] = /^([a-z][a-z0-9-]{0,39})\.([a-z][a-z0-9-]{0,39})$/.exec(subscriber) ?? []
  return service === undefined ? undefined : `svc.${service}.caught.${name}.${partition}`
}

/**
 * What the owner answers, once: `done`; `again`: it is the owner no longer, another one is to be asked; or why not, as the
 * JSON of `{ code, detail }`. As long as it says nothing it waits; whoever waits asks again every second.
 */
export type Answer = "done" | "again" | (string & {})
