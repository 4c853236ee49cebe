import { randomUUID } from "node:crypto"
import { Envelope, Key, Subject } from "@troupe/contract"

/** A row of the outbox as a turn of the counter leaves it. */
export interface Row {
  readonly p: number
  readonly pos: number
  readonly id: string
  readonly subject: string
  readonly headers: Envelope.Headers
  readonly body: string
}

export const partitions = 16

/** So many events of 1,000 keys, each lane's positions in order. */
export const make = (service: string, count: number): ReadonlyArray<Row> => {
  const positions = Array.from({ length: partitions }, () => 0)
  return Array.from({ length: count }, (_, i) => {
    const key = `key-${i % 1_000}`
    const p = Key.partition(key, partitions)
    const pos = (positions[p] ?? 0) + 1
    positions[p] = pos
    const id = randomUUID()
    const cause = randomUUID()
    const headers = Envelope.toHeaders({
      id,
      type: `${service}.Counter.incremented`,
      source: service,
      key,
      time: "2026-01-01T00:00:00.000Z",
      version: 1,
      contract: 1,
      correlationId: cause,
      causationId: cause,
      traceparent: `00-${"0af7651916cd43dd8448eb211c80319c"}-b7ad6b7169203331-01`,
      position: pos
    })
    const subject = Subject.published("evt", service, "Counter", "incremented", key)
    return { p, pos, id, subject, headers, body: JSON.stringify({ n: 1, total: Math.floor(i / 1_000) + 1 }) }
  })
}
