import { type Codes, Consistency, Envelope, Reply, Subject } from "@troupe/contract"
import { Commit } from "@troupe/postgres/internal"
import * as Attempt from "./Attempt.ts"
import type { Consumer } from "./Consumer.ts"
import type { Delivery, Refusal } from "./Delivery.ts"
import * as Id from "./id.ts"
import type { Answer } from "./Loader.ts"

/** A reply on its way to the caller's inbox, sent once its turn is committed. */
export interface Outgoing {
  readonly to: string
  readonly headers: Envelope.Headers
  readonly body: string
}

/** How a turn is remembered. `last`: the position of the last event that it said. */
export const answerOf = ({ body, delivery, outcome }: Attempt.Done, last: number | undefined): Answer => ({
  outcome,
  body,
  hash: delivery.hash,
  pos: outcome === "reply" ? (last ?? 0) : null
})

/** The reply to whoever waits, of partition `p`; the stored one when it asked before. */
export const answerTo = (consumer: Consumer, delivery: Delivery, answer: Answer, p: number): Outgoing | undefined => {
  if (delivery.replyTo === undefined || delivery.hash === null) return undefined
  const other = isOther(delivery, answer)
  const outcome = other || answer.outcome === null ? "rejected" : (answer.outcome as Reply.Outcome)
  const body = other ? rejected("TRP0206", usedBefore) : (answer.body ?? "")
  return reply(consumer, delivery.envelope, delivery.replyTo, {
    id: Id.derived(consumer.name, delivery.id, -1),
    outcome,
    body,
    consistency: outcome === "reply" ? consistencyOf(consumer, delivery, answer, p) : undefined
  })
}

/** Whether the id of a message was used for another one. An event has no hash: its emitter derives its id. */
export const isOther = (delivery: Pick<Delivery, "hash">, known: Pick<Answer, "hash">): boolean =>
  known.hash !== null && delivery.hash !== null && known.hash !== delivery.hash

/** Of a message whose id was used for another one: kept, where no caller hears of it. */
export const usedTwice = ({ incoming }: Delivery): Refusal => ({
  incoming,
  code: "TRP0206",
  why: usedBefore,
  caller: undefined
})
const usedBefore = "the id was used for another request before"

const consistencyOf = (consumer: Consumer, { token }: Delivery, { pos }: Answer, p: number): string | undefined => {
  const [service, actor] = consumer.name.split(".") as [string, string]
  return pos === null ? undefined : Consistency.text({ service, actor, partition: p, position: pos, key: token })
}

/** What the caller of a message that no handler can be run for hears. */
export const rejection = (consumer: Consumer, { caller, code, why }: Refusal): Outgoing | undefined =>
  caller === undefined
    ? undefined
    : reply(consumer, caller, caller.replyTo, {
        id: Id.derived(consumer.name, Id.ofMessage(caller.id), -1),
        outcome: "rejected",
        body: rejected(code, why)
      })

const rejected = (code: Codes.Code, detail: string): string =>
  JSON.stringify({ code, detail } satisfies Reply.Rejection)

const reply = (
  consumer: Consumer,
  ask: { readonly id: string; readonly type: string },
  to: string,
  answer: Reply.Reply
): Outgoing => ({ to, headers: Reply.headers(answer, ask, consumer.service), body: answer.body })

const textOf = (text: string | undefined): string | null => (text === undefined ? null : Commit.clean(text, 1_000))

/** The whole message, and why it is given up. */
export const deadRow = ({ code, incoming: { message, stream }, why }: Refusal): Commit.DeadRow => {
  const headers: Record<string, string> = Object.fromEntries(message.headers)
  return {
    key: textOf(Subject.parse(message.subject)?.key),
    message: textOf(headers["ce-id"]),
    stream,
    sequence: message.seq,
    subject: Commit.clean(message.subject, 2_000),
    headers: JSON.stringify(headers),
    body: message.data,
    code,
    reason: Attempt.bounded(why),
    origin: textOf(headers[Envelope.origin])
  }
}
