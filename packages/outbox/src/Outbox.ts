import { Envelope, JsonBounds, Key, type Message, Subject } from "@troupe/contract"
import { DbError, type Handle, Transaction } from "@troupe/postgres"
import { sql } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SecureRandom from "effect/crypto/SecureRandom"

/**
 * A message that cannot be put on the wire: its payload is not what the contract declares or exceeds `JsonBounds`, or its
 * key has no subject token.
 */
export class EnqueueError extends Schema.TaggedError<EnqueueError>()("EnqueueError", {
  to: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `${this.to}: ${this.why}`
  }
}

/** How one command is enqueued. */
export interface Options {
  /** A UUID. The same command under the same id is not handled again, another one becomes a dead letter (TRP0206). Default: a new UUIDv7. */
  readonly id?: string
}

/**
 * Stores a command in the transaction at hand; the service publishes it after the commit, exactly if it commits. Commands
 * of one key are published in the order in which their transactions commit.
 */
export const enqueue = (
  message: Message,
  options: Options = {}
): Effect.Effect<void, EnqueueError | DbError, Transaction> =>
  Effect.gen(function* () {
    const span = yield* Effect.option(Effect.currentParentSpan)
    const row = rowOf(message, options, Option.getOrUndefined(span))
    if (row instanceof EnqueueError) return yield* row
    const { handle } = yield* Transaction
    yield* Effect.tryPromise({ try: () => store(handle, row), catch: (cause) => new DbError({ cause }) })
  })

/** The same for code that uses Drizzle without Effect: `await db.transaction(async (tx) => { ...; await insert(tx, message) })`. */
export const insert = async (tx: Pick<Handle, "execute">, message: Message, options: Options = {}): Promise<void> => {
  const row = rowOf(message, options)
  if (row instanceof EnqueueError) throw row
  await store(tx, row)
}

interface Row {
  readonly id: string
  readonly token: string
  readonly stream: string
  readonly subject: string
  readonly headers: string
  readonly body: string
}

const rowOf = ({ key, payload, target, to }: Message, options: Options, span?: Envelope.Span): Row | EnqueueError => {
  const token = Key.encode(key)
  if (token === undefined)
    return new EnqueueError({ to, why: `the key ${JSON.stringify(key.slice(0, 80))} has no subject token` })
  const body = target.payload.encode(payload)
  if (!body.ok) return new EnqueueError({ to, why: body.why })
  const exceeded = JsonBounds.exceeded(body.text)
  if (exceeded !== undefined) return new EnqueueError({ to, why: exceeded.why })
  const id = options.id ?? SecureRandom.uuidV7Unsafe()
  const time = new Date().toISOString()
  // `ce-source` is the service whose database this is: the owner that adopts the row writes it.
  const headers = Envelope.toHeaders({
    id,
    type: to,
    source: "",
    key,
    time,
    contract: target.contract,
    correlationId: id,
    traceparent: span && Envelope.traceparent(span)
  })
  return {
    id,
    token,
    stream: Subject.stream("cmd", target.service),
    subject: Subject.published("cmd", target.service, target.actor, target.command, token),
    headers: JSON.stringify(headers),
    body: body.text
  }
}

/**
 * The lock is per key and held until the transaction ends: a second transaction with the same key waits, so ids of one
 * key are given out in commit order. A transaction that enqueues for several keys takes care of their order itself.
 */
const store = async (tx: Pick<Handle, "execute">, row: Row): Promise<void> => {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${row.stream} ${row.token}`}, 7486017))`)
  await tx.execute(sql`insert into troupe.enqueued (hash, key, message_id, stream, subject, headers, body)
    values (${Key.hash(row.token)}, ${row.token}, ${row.id}, ${row.stream}, ${row.subject}, ${row.headers}, ${row.body})`)
}
