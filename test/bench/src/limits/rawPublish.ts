// A stream of a service's shape, and a process that does nothing but publish to it.
import { jetstreamManager } from "@nats-io/jetstream"
import { startFastIngest } from "@nats-io/jetstream/internal"
import { headers as natsHeaders, type MsgHdrs, nuid } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { Nats, Topology } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Mode } from "./Limits.ts"
import * as Rows from "../relay/rows.ts"

const { messages, mode, natsUrl }: { natsUrl: string; mode: Mode; messages: number } = JSON.parse(
  process.argv[2] ?? "{}"
)
const service = "raw"
await Effect.runPromise(
  Topology.ensure("evt", service, Topology.limits).pipe(
    Effect.provide(Nats.layer({ url: Redacted.make(natsUrl), name: service }))
  )
)
const nats = await connect({ servers: natsUrl.replace("nats://", "") })
const rows = Rows.make(service, messages)

const headersOf = (row: Rows.Row): MsgHdrs => {
  const headers = natsHeaders()
  for (const name in row.headers) headers.set(name, row.headers[name] ?? "")
  headers.set("Nats-Msg-Id", row.id)
  return headers
}

const fastIngest = async (): Promise<void> => {
  const [first, ...rest] = rows
  if (first === undefined) return
  const ingest = await startFastIngest(nats, first.subject, first.body, {
    allowGaps: false,
    ackInterval: 200,
    headers: headersOf(first)
  })
  for (const row of rest) await ingest.add(row.subject, row.body, { headers: headersOf(row) })
  await ingest.end()
}

/** Each lane has one batch under way. */
const atomicBatches = async (): Promise<void> => {
  const lanes = Array.from({ length: Rows.partitions }, (_, p) => rows.filter((row) => row.p === p))
  await Promise.all(
    lanes.map(async (lane) => {
      for (let from = 0; from < lane.length; from += 500) {
        const batch = lane.slice(from, from + 500)
        const id = nuid.next()
        for (const [i, row] of batch.entries()) {
          const headers = headersOf(row)
          headers.set("Nats-Batch-Id", id)
          headers.set("Nats-Batch-Sequence", String(i + 1))
          if (i < batch.length - 1) nats.publish(row.subject, row.body, { headers })
          else {
            headers.set("Nats-Batch-Commit", "1")
            const answer = await nats.request(row.subject, row.body, { headers, timeout: 10_000 })
            const { error } = answer.json<{ readonly error?: { readonly description: string } }>()
            if (error !== undefined) throw new Error(error.description)
          }
        }
      }
    })
  )
}

const since = performance.now()
await (mode === "fastIngest" ? fastIngest() : atomicBatches())
const rate = Math.round((messages / (performance.now() - since)) * 1_000)
const jsm = await jetstreamManager(nats)
const stored = (await jsm.streams.info(`EVT_${service}`)).state.messages
await jsm.streams.delete(`EVT_${service}`)
if (stored !== messages) throw new Error(`${stored} of ${messages} stored`)
console.log(`rate ${rate}`)
await nats.close()
