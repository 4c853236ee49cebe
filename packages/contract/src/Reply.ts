import { header as consistencyHeader } from "./Consistency.ts"
import { fromHeaders, type Headers, toHeaders } from "./Envelope.ts"

/** `reply`: as the command declares. `error`: one of its typed errors. `rejected`: it was not handled, `{ code, detail }` says why. */
export type Outcome = "reply" | "error" | "rejected"

/** An answer on its way to the caller's inbox: a core NATS message. */
export interface Reply {
  readonly id: string
  readonly outcome: Outcome
  /** JSON by the command's reply schema, by the union of its errors, or `{ code, detail }`; empty for void. */
  readonly body: string
  /** Of a `reply`: the consistency token of its turn. None: the host's code is older. */
  readonly consistency?: string | undefined
}

/** Why a command was not handled: a code of `Codes`, and a text for a person. */
export interface Rejection {
  readonly code: string
  readonly detail: string
}

/** The headers of an answer to an ask, said by `source`. */
export const headers = (
  reply: Reply,
  ask: { readonly id: string; readonly type: string },
  source: string
): Headers => ({
  ...toHeaders({ id: reply.id, type: ask.type, source, causationId: ask.id }),
  "Troupe-Outcome": reply.outcome,
  ...(reply.consistency === undefined ? {} : { [consistencyHeader]: reply.consistency })
})

/** Reads an answer and the id of the ask that it answers; `undefined` when it is none. */
export const fromMessage = (
  get: (name: string) => string | null | undefined,
  body: string
): (Reply & { readonly to: string }) | undefined => {
  const envelope = fromHeaders(get)
  const outcome = get("Troupe-Outcome")
  if ("why" in envelope || envelope.causationId === undefined) return undefined
  if (outcome !== "reply" && outcome !== "error" && outcome !== "rejected") return undefined
  const reply = { id: envelope.id, to: envelope.causationId, outcome, body } as const
  const consistency = get(consistencyHeader)
  return consistency ? { ...reply, consistency } : reply
}
