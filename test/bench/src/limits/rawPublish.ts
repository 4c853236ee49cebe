// A stream of a service's shape, and a process that does nothing but publish to it: in each lane one batch under way.
import { jetstreamManager } from "@nats-io/jetstream"
import { createInbox, MsgHdrsImpl } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { Nats, Topology } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Rows from "../relay/rows.ts"
import type { Mode } from "./Limits.ts"

const { messages, mode, natsUrl }: { natsUrl: string; mode: Mode; messages: number } = JSON.parse(
  process.argv[2] ?? "{}"
)
const service = "raw"
const batchSize = 500

await Effect.runPromise(
  Topology.ensure("evt", service, Topology.limits).pipe(
    Effect.provide(Nats.layer({ url: Redacted.make(natsUrl), name: service }))
  )
)
const nats = await connect({ servers: natsUrl.replace("nats://", "") })
const rows = Rows.make(service, messages)
const lanes = Array.from({ length: Rows.partitions }, (_, p) => rows.filter((row) => row.p === p))

const encoder = new TextEncoder()

/** Headers as bytes at once: set one by one they would be what takes longest. */
class Headers extends MsgHdrsImpl {
  readonly #text: string
  constructor(row: Rows.Row, more: string) {
    super()
    this.#text = `NATS/1.0\r\nNats-Msg-Id: ${row.id}\r\n${Object.entries(row.headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("")}${more}\r\n`
  }
  override encode(): Uint8Array {
    return encoder.encode(this.#text)
  }
}

const inbox = createInbox()
const waiting = new Map<string, { resolve(): void; reject(error: Error): void }>()
nats.subscribe(`${inbox}.>`, {
  callback: (_, message) => {
    const batch = message.subject
      .slice(inbox.length + 1)
      .split(".", 1)
      .join()
    const answer = message.json<{ readonly type?: string; readonly error?: { readonly description: string } }>()
    // With a type it only tells the pace.
    if (answer.type !== undefined) return
    if (answer.error === undefined) waiting.get(batch)?.resolve()
    else waiting.get(batch)?.reject(new Error(answer.error.description))
  }
})

/** ADR-50 of nats-architecture-and-design: what a message of a batch is, by its headers or by where it is answered. */
const publish = (row: Rows.Row, batch: string, nth: number, last: boolean): void => {
  if (mode === "fastIngest") {
    const operation = last ? 2 : nth === 1 ? 0 : 1
    const reply = `${inbox}.${batch}.${batchSize}.fail.${nth}.${operation}.$FI`
    nats.publish(row.subject, row.body, { headers: new Headers(row, ""), reply })
  } else {
    const more = `Nats-Batch-Id: ${batch}\r\nNats-Batch-Sequence: ${nth}\r\n${last ? "Nats-Batch-Commit: 1\r\n" : ""}`
    nats.publish(row.subject, row.body, {
      headers: new Headers(row, more),
      ...(last ? { reply: `${inbox}.${batch}` } : {})
    })
  }
}

const run = async (lane: ReadonlyArray<Rows.Row>, p: number): Promise<void> => {
  for (let from = 0; from < lane.length; from += batchSize) {
    const some = lane.slice(from, from + batchSize)
    const batch = `${p}-${from}`
    const answered = Promise.withResolvers<void>()
    waiting.set(batch, answered)
    for (const [i, row] of some.entries()) publish(row, batch, i + 1, i === some.length - 1)
    await answered.promise
    waiting.delete(batch)
  }
}

const since = performance.now()
await Promise.all(lanes.map(run))
const rate = Math.round((messages / (performance.now() - since)) * 1_000)
const jsm = await jetstreamManager(nats)
const stored = (await jsm.streams.info(`EVT_${service}`)).state.messages
await jsm.streams.delete(`EVT_${service}`)
if (stored !== messages) throw new Error(`${stored} of ${messages} stored`)
console.log(`rate ${rate}`)
await nats.close()
