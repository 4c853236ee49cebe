import { Key } from "@troupe/contract"

/** Where a reader stands in the stream of one service. */
export interface Place {
  /** When the stream was created, ms since 1970: another time is another stream. */
  readonly created: number
  /** Sequence of the last message that was read, or that is known to be none of the reader's. */
  readonly seq: number
  /** The stream's time of it, ms since 1970. */
  readonly at: number
  /** Tells the message from another one in its place; empty when it was not read. */
  readonly id: string
}

/** Of a message's `ce-id`. */
export const idOf = (messageId: string): string => Key.hash(messageId).toString(36)

/** By service: `orders.mif2g8k0.3f.mif2h001.1a2b3c`, several joined by `~`. Nothing in it needs escaping in a header or a URL. */
export const format = (places: ReadonlyMap<string, Place>): string =>
  [...places]
    .map(([service, { at, created, id, seq }]) => `${service}.${[created, seq, at].map(digits).join(".")}.${id}`)
    .join("~")

/** `undefined` for a text that `format` never gives. */
export const parse = (text: string): ReadonlyMap<string, Place> | undefined => {
  const places = new Map<string, Place>()
  for (const one of text.split("~")) {
    const [, service, ...numbers] = pattern.exec(one) ?? []
    if (service === undefined) return undefined
    const [created = 0, seq = 0, at = 0] = numbers.slice(0, 3).map((number) => Number.parseInt(number, 36))
    places.set(service, { created, seq, at, id: numbers[3] ?? "" })
  }
  return places
}

const digits = (value: number): string => value.toString(36)
const pattern = /^([a-z][a-z0-9-]{0,39})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([0-9a-z]{0,7})$/
