import { setTimeout } from "node:timers/promises"
import { createInbox, headers, nuid } from "@nats-io/nats-core"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type Kind = keyof typeof allowed

/** A caller that begins batches and ends none. */
export interface Crowd {
  /** Whether the server refuses further batches of each kind on each stream now. */
  readonly isFull: () => Promise<boolean>
  /** What was published meanwhile on the subjects, by anybody else: messages, and how many of them as a part of a batch. */
  readonly heard: { messages: number; batched: number }
}

/** What nats-server 2.15 allows a stream at once. It forgets a batch of which it hears nothing for 10 seconds. */
const allowed = { atomic: 50, ingest: 1_000 }
const again = 2_000
const key = "crowd"

/** Takes all batches of these kinds that the server allows the streams of these subjects (without their key), until the scope ends. */
export const crowd = (
  url: string,
  subjects: ReadonlyArray<string>,
  kinds: ReadonlyArray<Kind>
): Effect.Effect<Crowd, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* Effect.acquireRelease(
      Effect.promise(() => connect({ servers: url })),
      (connection) => Effect.promise(() => connection.close())
    )
    const heard = { messages: 0, batched: 0 }
    for (const subject of subjects)
      connection.subscribe(`${subject}.>`, {
        callback: (_, message) => {
          if (message.subject === `${subject}.${key}`) return
          heard.messages++
          if (message.headers?.has("Nats-Batch-Id") || message.reply?.endsWith(".$FI")) heard.batched++
        }
      })
    // The server ends a fast ingest whose answers nobody hears.
    const inbox = createInbox()
    connection.subscribe(`${inbox}.>`, { callback: () => {} })
    const begin = () => {
      for (const subject of subjects)
        for (const kind of kinds)
          for (let i = 0; i < allowed[kind]; i++) first[kind](connection, subject, `${inbox}.${nuid.next()}`)
      return connection.flush()
    }
    yield* Effect.promise(begin)
    yield* Effect.forkScoped(
      Effect.forever(Effect.promise((signal) => setTimeout(again, undefined, { signal }).then(begin)))
    )
    const isFull = async () => {
      for (const subject of subjects)
        for (const kind of kinds) if (!(await isRefused(connection, subject, kind))) return false
      return true
    }
    return { heard, isFull }
  })

/** Publishes the first message of a batch of a kind; the server answers to the inbox. */
const first: Record<Kind, (connection: NatsConnection, subject: string, inbox: string) => void> = {
  atomic: (connection, subject, inbox) => {
    const wire = headers()
    wire.set("Nats-Batch-Id", nuid.next())
    wire.set("Nats-Batch-Sequence", "1")
    connection.publish(`${subject}.${key}`, "", { headers: wire, reply: `${inbox}.1` })
  },
  ingest: (connection, subject, inbox) =>
    connection.publish(`${subject}.${key}`, "", { reply: `${inbox}.500.fail.1.0.$FI` })
}

const isRefused = async (connection: NatsConnection, subject: string, kind: Kind): Promise<boolean> => {
  const inbox = createInbox()
  const answers = connection.subscribe(`${inbox}.>`, { max: 1 })
  first[kind](connection, subject, inbox)
  for await (const message of answers) return /"err_code":1021[01]/.test(message.string())
  return false
}
