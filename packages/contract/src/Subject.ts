import * as Key from "./Key.ts"

/** `evt` for events, `cmd` for commands. */
export type Kind = "evt" | "cmd"

/** What a subject in a stream says. */
export interface Subject {
  readonly kind: Kind
  readonly service: string
  readonly partition: number
  readonly actor: string
  /** The command or event. */
  readonly name: string
  /** Decoded. */
  readonly key: string
}

/** The stream of a service: `EVT_orders`, `CMD_orders`, and `PLACE_orders` with how far durable subscriptions came in its events. */
export const stream = (kind: Kind | "place", service: string): string => `${kind.toUpperCase()}_${service}`

/** Where the place of a durable subscription is kept. */
export const place = (service: string, caller: string, durable: string): string =>
  `place.${service}.${caller}.${durable}`

/** Where a message is published; the stream puts the partition in. `token` is the encoded key. */
export const published = (kind: Kind, service: string, actor: string, name: string, token: string): string =>
  `${kind}.${service}.${actor}.${name}.${token}`

/** The subjects a stream takes. Exactly five tokens: with `>` a six-token publish would land untransformed in any lane. */
export const accepted = (kind: Kind, service: string): string => `${kind}.${service}.*.*.*`

/** Where the stream keeps what it takes. `wildcards` is as in nats-server's subject transforms. */
export const transformed = (kind: Kind, service: string, partitions: number): string =>
  `${kind}.${service}.{{partition(${partitions},3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}`

/** All messages of one partition, or of one actor type in it (for events: its lane). */
export const filter = (kind: Kind, service: string, partition: number, actor?: string): string =>
  actor === undefined ? `${kind}.${service}.${partition}.>` : `${kind}.${service}.${partition}.${actor}.>`

/** Reads a subject as the stream stores it; `undefined` when it is none, or its key is not canonical. */
export const parse = (subject: string): Subject | undefined => {
  const [kind, service, partition, actor, name, token, ...more] = subject.split(".")
  if ((kind !== "evt" && kind !== "cmd") || more.length > 0) return undefined
  if (!service || !partition || !actor || !name || token === undefined) return undefined
  // As nats-server writes it: `Number` alone would also take `1e1`, `0x1` and `01`, and one lane would have many names.
  if (!/^(0|[1-9][0-9]{0,4})$/.test(partition)) return undefined
  const key = Key.decode(token)
  return key === undefined ? undefined : { kind, service, partition: Number(partition), actor, name, key }
}
