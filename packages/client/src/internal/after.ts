import { headers as natsHeaders, type Msg } from "@nats-io/nats-core"
import { Consistency } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ClientError, NotConnected, type Reason, Rejected, TimedOut } from "../ClientError.ts"
import type { Link } from "./Link.ts"
import { type Signal, Signals } from "./signals.ts"

/** What is waited for. */
export interface Wait {
  readonly token: string
  /** `<service>.<name>` */
  readonly subscriber: string
  readonly timeout: Duration.Duration
}

/** ms after which the owner is asked again: one that died says nothing, and no owner keeps who does not ask again. */
const patience = 1_000
/** Between attempts while nobody owns the partition: doubled each time, ms. */
const pause = { first: 25, longest: 500 }

/** Asks the owner of the token's partition, whoever that is by then, until it says that the subscriber has caught up. */
export const after = (link: Link, wait: Wait): Effect.Effect<void, ClientError> =>
  Effect.suspend(() => {
    const fail = (reason: Reason) => Effect.fail(new ClientError({ to: wait.subscriber, reason }))
    const place = Consistency.parse(wait.token)
    if (place === undefined)
      return fail(new Rejected({ code: "TRP0214", detail: JSON.stringify(wait.token.slice(0, 100)) }))
    const subject = Consistency.subject(wait.subscriber, place.partition)
    if (subject === undefined)
      return fail(new Rejected({ code: "TRP0215", detail: "the name of a subscriber is <service>.<name>" }))
    // Its turn said nothing that anybody could hear.
    if (place.position === 0) return Effect.void
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const signals = new Signals()
        const inbox = link.expect((msg) => signals.offer(read(msg, wait.subscriber)))
        link.join(signals, subject)
        return { signals, inbox }
      }),
      ({ inbox, signals }) =>
        Effect.mapError(
          attempts(link, wait, signals, () => {
            const headers = natsHeaders()
            headers.set("Troupe-Reply-To", inbox)
            // The server answers there when nobody hears it.
            link.publish(subject, wait.token, { headers, reply: inbox })
          }),
          (reason) => new ClientError({ to: wait.subscriber, reason })
        ),
      ({ inbox, signals }) =>
        Effect.sync(() => {
          link.leave(signals)
          link.forget([inbox])
        })
    )
  })

const attempts = Effect.fnUntraced(function* (
  link: Link,
  { subscriber, timeout }: Wait,
  signals: Signals,
  ask: () => void
): Effect.fn.Return<void, Reason> {
  const now = () => performance.now()
  const end = now() + Duration.toMillis(timeout)
  let next = now()
  let rest = pause.first
  /** Why nobody waits for us, as far as we know. */
  let trouble: Reason | undefined
  let silent = false
  while (true) {
    if (now() >= next) {
      const refusal = link.refusal()
      if (refusal !== undefined) return yield* Effect.fail(refusal)
      if (silent) {
        trouble = undefined
        rest = pause.first
      }
      silent = link.connected
      if (!link.connected) trouble = new NotConnected({ detail: "the connection is lost" })
      else if (link.isHeard) ask()
      next = now() + patience
    }
    const signal = yield* signals.next(Math.min(next, end) - now())
    if (signal === undefined) {
      if (now() >= end)
        return yield* Effect.fail(trouble ?? new TimedOut({ after: Duration.format(timeout), subscriber }))
    } else if (signal._tag === "Answered") return
    else if (signal._tag === "Reconnected") next = now()
    else if (signal._tag === "Refused") {
      if (!signal.passing) return yield* Effect.fail(signal.reason)
      silent = false
      trouble = signal.reason
      next = now() + rest
      rest = Math.min(rest * 2, pause.longest)
    }
  }
})

const Refusal = Schema.fromJsonString(Schema.Struct({ code: Schema.String, detail: Schema.String }))
const refusal = Schema.decodeUnknownOption(Refusal)

const read = (msg: Msg, subscriber: string): Signal => {
  const passing = (detail: string): Signal => ({ _tag: "Refused", reason: new NotConnected({ detail }), passing: true })
  if (msg.headers?.code === 503)
    return passing(`no host runs ${subscriber}: is there such a subscriber, and is it ready?`)
  const answer: Consistency.Answer = msg.string()
  if (answer === "again") return passing(`${subscriber} is taken over by another host`)
  if (answer === "done") return { _tag: "Answered", reply: { id: "", outcome: "reply", body: "" } }
  const said = refusal(answer)
  if (said._tag === "None") return passing(`${subscriber} answered ${answer.slice(0, 100)}`)
  return { _tag: "Refused", reason: new Rejected(said.value), passing: false }
}
