import { Codes, Declaration, JsonBounds, Key, Reason, type Reply, Subject } from "@troupe/contract"
import { type Db } from "@troupe/postgres"
import { type Commit, Lease, passes, sqlState } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AnyActor } from "../Actor.ts"
import { TooSlow, timed } from "../Limit.ts"
import type { AnySubscriber } from "../Subscriber.ts"
import * as Turn from "../Turn.ts"
import { Board } from "./Board.ts"
import { CommitLost } from "./Committer.ts"
import type { Consumer } from "./Consumer.ts"
import * as Culprit from "./Culprit.ts"
import { Deadlines } from "./Deadlines.ts"
import type { Delivery } from "./Delivery.ts"
import * as Id from "./id.ts"
import * as Lost from "./Lost.ts"
import { type Staged, staged } from "./Staged.ts"
import type * as Timers from "./Timers.ts"

/** A turn that ran to its end, encoded: nothing of it can fail any more but the commit. */
export interface Done {
  readonly delivery: Delivery
  /** None for an event. */
  readonly outcome: "reply" | "error" | "rejected" | null
  readonly body: string | null
  /** The state that it set. */
  readonly state: { readonly value: unknown; readonly text: string } | undefined
  readonly staged: ReadonlyArray<Staged>
  readonly timers: Timers.Changes["timers"]
  readonly cleared: Timers.Changes["cleared"]
  readonly dead: Failure | undefined
}

/** A handler in a pure run asked for `Db`: the batch is run again inside a transaction. */
export class NeedsTransaction {}

/** A statement failed for what other transactions do, or this one did before: the turn is to be the first of the next one. */
export class Postponed extends Schema.TaggedError<Postponed>()("Postponed", {}) {}

/** Runs the handler of a message once: what it wants, or why that can be nothing. A defect of the handler stays one. */
export type Take<E = never> = (delivery: Delivery, state: unknown) => Effect.Effect<Turn.Turn | Failure, E, Db>

/** Runs before its message is given up. */
const attempts = 3

/**
 * Runs the turn of a message, with a handler's defects retried in place. What its statements fail with is its failure,
 * whatever the SQLSTATE says, as long as the transaction goes on. Fails only with what may not be the message's fault: a
 * lost transaction, an edge that is away, or the signal that the turn needs a transaction.
 * `transact` runs a turn in a savepoint, so that a refused or failed one leaves nothing. Once its batch is `late` it is
 * not tried again in place. `first`: no other turn ran in its transaction.
 */
export const run = <E>(
  consumer: Consumer,
  delivery: Delivery,
  state: unknown,
  maxPayload: number,
  take: Take<E>,
  transact: <A, E>(turn: Effect.Effect<A, E, Db>) => Effect.Effect<A, E | CommitLost>,
  late: () => boolean = () => false,
  first = true
): Effect.Effect<Done, E | CommitLost | NeedsTransaction | Postponed> =>
  Effect.gen(function* () {
    let failure: Failure = { code: "TRP0301", reason: "" }
    const log = { id: delivery.id, key: delivery.key }
    const deadlines = yield* Deadlines
    const board = yield* Board
    const shown = "edge" in consumer.part ? undefined : Culprit.runningOf(consumer, delivery.incoming)
    for (let attempt = 1; attempt <= attempts; attempt++) {
      if (attempt > 1) {
        if (late()) break
        yield* Effect.mapError(Lease.check, (cause) => new CommitLost({ cause }))
        if (yield* deadlines.over(delivery)) break
      }
      // Encoded inside the savepoint: what is refused, or cannot be sent, leaves nothing of what it wrote by `Db` either.
      const place = shown === undefined ? -1 : board.begin(shown)
      const exit = yield* Effect.exit(
        transact(
          Effect.flatMap(take(delivery, state), (turn) => {
            if ("code" in turn) return Effect.fail(new Undo(turn))
            const done = encodeSafely(consumer, delivery, turn, maxPayload)
            return "code" in done || turn.error !== undefined ? Effect.fail(new Undo(done)) : Effect.succeed(done)
          })
        ).pipe(
          Effect.catch((error) => (error instanceof Undo ? Effect.succeed(error.done) : Effect.fail(error))),
          Effect.ensuring(Effect.sync(() => board.end(place)))
        )
      )
      if (Exit.isSuccess(exit)) {
        if (!("code" in exit.value)) return exit.value
        failure = { ...exit.value, reason: bounded(exit.value.reason) }
        break
      }
      const failed = Cause.findErrorOption(exit.cause)
      if (Option.isSome(failed)) {
        const { value } = failed
        if (!(value instanceof CommitLost) || shown === undefined) return yield* Effect.fail(value)
        return yield* Lost.during(shown, value)
      }
      const why = Cause.squash(exit.cause)
      if (Reason.is(why, NeedsTransaction)) {
        consumer.usesDb.add(delivery.type)
        return yield* Effect.fail(why)
      }
      // Rows that turns before it locked may be the reason, as of a deadlock: it is run again when those are committed.
      if (!first && isDbError(why) && passes(why)) return yield* new Postponed()
      failure = { code: isTooSlow(why) ? "TRP0302" : "TRP0301", reason: bounded(why) }
      yield* Effect.logDebug(`${delivery.type} failed (${attempt} of ${attempts})`, log, failure.reason)
    }
    yield* Effect.logWarning(Codes.text(failure.code, delivery.type, failure.reason), log)
    return given(delivery, failure)
  })

/** Why a message is given up. */
export interface Failure {
  readonly code: Codes.Code
  readonly reason: string
}
/** Carries a turn that keeps nothing out of its savepoint. */
class Undo {
  readonly done: Done | Failure
  constructor(done: Done | Failure) {
    this.done = done
  }
}

/** The handler, or a statement of it (57014: cancelled, since it took longer than `statement_timeout`). */
const isTooSlow = (why: unknown): boolean => Reason.is(why, TooSlow) || (isDbError(why) && sqlState(why) === "57014")
/** Or an error of the handler's around one. */
const isDbError = (why: unknown, depth = 0): boolean =>
  Reason.get(why, "_tag") === "DbError" ||
  (depth < 10 && why !== undefined && isDbError(Reason.get(why, "cause"), depth + 1))

/** Runs handlers that are in this process. What their timers, sockets and promises throw meanwhile fails the run. */
export const here =
  (consumer: Consumer, part: AnyActor | AnySubscriber): Take =>
  (delivery, state) =>
    Effect.suspend(() => {
      const culprit: Culprit.Culprit = { running: Culprit.runningOf(consumer, delivery.incoming), fail: undefined }
      return timed(handled(part, delivery, state), {
        start: (run) => Culprit.within(culprit, run),
        failing: (fail) => {
          culprit.fail = fail
        }
      })
    })

const handled = (part: AnyActor | AnySubscriber, delivery: Delivery, state: unknown) => {
  const { envelope, key, now, payload, type } = delivery
  const input = { id: envelope.id, key, now }
  if (part.kind === "actor") return Turn.take(part, state, delivery.name, payload, input)
  const event = {
    type,
    key,
    payload,
    id: envelope.id,
    time: new Date(now).toISOString(),
    lane: type.slice(0, type.lastIndexOf(".")),
    position: envelope.position ?? 0,
    correlationId: envelope.correlationId ?? envelope.id,
    causationId: envelope.causationId
  }
  return Turn.hear(part, state, event, input)
}

/** A message that is given up: its caller, if any, is told; the message is kept with the reason. */
export const given = (delivery: Delivery, { code, reason }: Failure): Done => ({
  delivery,
  outcome: delivery.hash === null ? null : "rejected",
  // A caller gets the first line: where in our code it failed is not its business.
  body: delivery.hash === null ? null : JSON.stringify({ code, detail: reason.split("\n")[0] }),
  state: undefined,
  staged: [],
  timers: [],
  cleared: [],
  dead: { code, reason }
})

/** A command that nobody waits for any more is not run, and will not be: its id has this answer from now on. */
export const expired = (delivery: Delivery): Done => ({
  delivery,
  outcome: "rejected",
  body: JSON.stringify({
    code: "TRP0212",
    detail: `it had ${delivery.envelope.deadlineMs} ms from ${new Date(delivery.incoming.message.time).toISOString()} on`
  } satisfies Reply.Rejection & { code: Codes.Code }),
  state: undefined,
  staged: [],
  timers: [],
  cleared: [],
  dead: undefined
})

/** Whether the answer of a command is that of `expired`. */
export const isExpired = ({
  body,
  outcome
}: {
  readonly body: string | null
  readonly outcome: string | null
}): boolean => outcome === "rejected" && body !== null && body.startsWith('{"code":"TRP0212"')

/** A handler may stage what no type allows: that is its failure, not ours. */
const encodeSafely = (consumer: Consumer, delivery: Delivery, turn: Turn.Turn, maxPayload: number): Done | Failure => {
  try {
    return encode(consumer, delivery, turn, maxPayload)
  } catch (error) {
    return { code: "TRP0303", reason: bounded(error) }
  }
}

/** Everything that a turn wants, as it will be stored and sent; or why it cannot be. */
const encode = (consumer: Consumer, delivery: Delivery, turn: Turn.Turn, maxPayload: number): Done | Failure => {
  const refuse = (reason: string): Failure => ({ code: "TRP0303", reason })
  let outcome: Done["outcome"] = null
  let body: string | null = null
  const target = consumer.commands.get(delivery.name)
  if (target !== undefined) {
    const answer = turn.error === undefined ? target.reply.encode(turn.reply) : target.error.encode(turn.error)
    outcome = turn.error === undefined ? "reply" : "error"
    if (!answer.ok && turn.error !== undefined)
      return { code: "TRP0301", reason: `an undeclared error: ${bounded(turn.error)}` }
    if (!answer.ok) return refuse(`the reply: ${answer.why}`)
    if (Buffer.byteLength(answer.text) + overhead > maxPayload) return refuse(`the reply: over ${maxPayload} bytes`)
    body = answer.text
  } else if (turn.error !== undefined) {
    return { code: "TRP0301", reason: bounded(turn.error) }
  }
  let state: Done["state"]
  if (turn.changed) {
    const encoded = consumer.state.encode(turn.state)
    if (!encoded.ok) return refuse(`the state: ${encoded.why}`)
    state = { value: encoded.value, text: encoded.text }
  }
  const sent: Array<Staged> = []
  const timers: Array<Commit.TimerRow> = []
  const cleared = Turn.cancelledBy(turn).map((name) => ({ key: delivery.token, name }))
  for (const [ordinal, item] of turn.staged.entries()) {
    if (item.kind === "cancel") continue
    const row =
      item.kind === "event" ? event(consumer, delivery, item, ordinal) : command(consumer, delivery, item, ordinal)
    if (typeof row === "string") return refuse(row)
    const size = Buffer.byteLength(row.body) + row.text.length + overhead
    if (size > maxPayload) return refuse(`${row.headers["ce-type"]}: ${size} bytes, over max_payload ${maxPayload}`)
    const exceeded = JsonBounds.exceeded(row.body)
    if (exceeded !== undefined) return refuse(`${row.headers["ce-type"]}: ${exceeded.why}`)
    if (item.kind === "timer") timers.push(timer(delivery, item, row))
    else sent.push(row)
  }
  return { delivery, outcome, body, state, staged: sent, timers, cleared, dead: undefined }
}

/** What headers that the publisher adds may take, in bytes. */
const overhead = 1_024

const event = (
  consumer: Consumer,
  delivery: Delivery,
  item: Extract<Turn.StagedItem, { kind: "event" }>,
  ordinal: number
): Staged | string => {
  const type = `${consumer.name}.${item.name}`
  const wire = consumer.events.get(type)
  if (wire === undefined) return `${type} is no event of the contract`
  const body = wire.encode(item.payload)
  if (!body.ok) return `${type}: ${body.why}`
  const [, actor] = consumer.name.split(".") as [string, string]
  const envelope = {
    ...follows(consumer, delivery, ordinal),
    type,
    key: delivery.key,
    version: wire.version,
    contract: consumer.contract
  }
  const subject = Subject.published("evt", consumer.service, actor, item.name, delivery.token)
  return staged(Subject.stream("evt", consumer.service), subject, envelope, body.text, true)
}

/** Why a command to an actor that the part does not declare is refused. */
export const undeclared = (to: string, actor: string, { sends }: Pick<Consumer["part"], "sends">): string => {
  const declared = sends.map(({ name }) => name)
  return declared.includes(actor)
    ? `${to} is no command of the contract`
    : `${to}: it is not declared: ${Declaration.ofPart(actor, declared)}`
}

const command = (
  consumer: Consumer,
  delivery: Delivery,
  { message: { key, payload, target, to } }: Extract<Turn.StagedItem, { message: unknown }>,
  ordinal: number
): Staged | string => {
  const actor = `${target.service}.${target.actor}`
  if (!consumer.sends.has(actor)) return undeclared(to, actor, consumer.part)
  const token = Key.encode(key)
  if (token === undefined) return `${to}: the key ${JSON.stringify(key.slice(0, 80))} has no subject token`
  const body = target.payload.encode(payload)
  if (!body.ok) return `${to}: ${body.why}`
  const envelope = { ...follows(consumer, delivery, ordinal), type: to, key, contract: target.contract }
  const subject = Subject.published("cmd", target.service, target.actor, target.command, token)
  return staged(Subject.stream("cmd", target.service), subject, envelope, body.text, false)
}

const timer = (delivery: Delivery, { delay, name }: Turn.TimerItem, row: Staged): Commit.TimerRow => ({
  key: delivery.token,
  // No handler can give this name: a delayed send is on its own.
  name: name ?? `~${row.id}`,
  delay,
  id: row.id,
  stream: row.stream,
  subject: row.subject,
  // Without a time of its own its time is that of its firing.
  headers: JSON.stringify(Object.fromEntries(Object.entries(row.headers).filter(([header]) => header !== "ce-time"))),
  body: row.body
})

const follows = (consumer: Consumer, delivery: Delivery, ordinal: number) => ({
  id: Id.staged(consumer.name, delivery, ordinal),
  source: consumer.service,
  time: new Date().toISOString(),
  correlationId: delivery.envelope.correlationId ?? delivery.envelope.id,
  causationId: delivery.envelope.id,
  ...(delivery.envelope.traceparent === undefined ? {} : { traceparent: delivery.envelope.traceparent })
})

/** A reason as Postgres can keep it, at most 2,000 characters. */
export const bounded = (why: unknown): string => Reason.full(why, 2_000)
