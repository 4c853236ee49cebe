import { Reason } from "@troupe/contract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Transactions from "./Transactions.ts"
import type { Handle } from "./Transactions.ts"

export type { Handle } from "./Transactions.ts"

/** A statement, a transaction or the connection failed. */
export class DbError extends Schema.TaggedError<DbError>()("DbError", { cause: Schema.Defect() }) {
  /** SQLSTATE of the underlying PostgresError, when there is one. */
  get code(): string | undefined {
    return sqlState(this.cause)
  }
  override get message(): string {
    return innermost(this.cause)
  }
}

/** Drizzle wraps the error of the driver, so the SQLSTATE lies some levels down. */
export const sqlState = (e: unknown): string | undefined => {
  for (const one of causes(e)) {
    const code = Reason.get(one, "code")
    if (typeof code === "string") return code
  }
  return undefined
}
const connection =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|E(CONN\w+|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN))$/
/** Of a TLS connection that Node.js or OpenSSL refused: https://nodejs.org/api/tls.html#x509-certificate-error-codes. */
const refused =
  /^(ERR_(TLS|SSL|OSSL)_\w+|EPROTO|TRP0521|(CERT|CRL|DEPTH_ZERO|ERROR_IN|INVALID|PATH|SELF_SIGNED|UNABLE_TO)_[A-Z_]+|HOSTNAME_MISMATCH)$/

/** Whether no connection was made because the server was not verified, or could not be. */
export const isUntrusted = (cause: unknown): boolean => refused.test(sqlState(cause) ?? "")
const server = /^(08|25006|25P03|28|3D|40|53|55P03|57P0|58|TR001)/

/**
 * Whether an error says something of the connection, the server or other writers, and nothing of the statement: the same
 * statement may do later. Connection lost or refused, standby, serialization, out of resources, shutting down.
 */
export const passes = (cause: unknown): boolean => {
  const code = sqlState(cause)
  return code !== undefined && (connection.test(code) || refused.test(code) || (code.length === 5 && server.test(code)))
}

/** Whether the transaction itself is lost with its connection: see `TransactionLost`. */
export const isLost = (error: DbError): boolean => Reason.is(error.cause, Transactions.TransactionLost)

/** Of the error that the driver threw. Not by `instanceof`: an error that was sent or logged has lost its class. */
const innermost = (e: unknown): string => Reason.text(causes(e).at(-1))

/** An error and what it wraps, the innermost last. A cause that is no object says nothing that its error does not say. */
const causes = (e: unknown): ReadonlyArray<unknown> => {
  const found = [e]
  // Whoever threw it may have let it cause itself.
  while (found.length < 10) {
    const next = Reason.get(found.at(-1), "cause")
    if (typeof next !== "object" || next === null) break
    found.push(next)
  }
  return found
}

/** Present in `R` only inside `Db.transaction`: the right to write atomically. */
export class Transaction extends Context.Service<Transaction, { readonly handle: Handle }>()(
  "@troupe/postgres/Transaction"
) {}

/**
 * Drizzle. In a handler it is the turn's own transaction: what it writes is committed with the turn or not at all.
 * Elsewhere it is a pool, and `transaction` opens one.
 */
export class Db extends Context.Service<
  Db,
  {
    /** Runs a statement. */
    query<A>(run: (db: Handle) => PromiseLike<A>): Effect.Effect<A, DbError>
    /**
     * Runs `self` in a transaction: commits when it succeeds, rolls back when it fails, dies or is interrupted.
     * Inside another one it is a savepoint.
     */
    transaction<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | DbError, Exclude<R, Transaction>>
  }
>()("@troupe/postgres/Db") {
  /** Connections of its own, `max` for single statements and `max` for transactions; ended with the layer. Drizzle changes its client's parsers, so it shares none. */
  static readonly layer = (options: Transactions.Options): Layer.Layer<Db> =>
    Layer.effect(Db, Effect.map(Transactions.handle(options), over))
}

/** `Db` over a handle: Drizzle's database, or a transaction that somebody else commits. */
export const over = (root: Handle): Db["Service"] =>
  Db.of({
    query: (run) => Effect.flatMap(current(root), (handle) => attempt(() => run(handle))),
    transaction: (self) => bridge(root, self)
  })

const current = (root: Handle) =>
  Effect.contextWith((context: Context.Context<never>) => {
    const open = Context.getOption(context, Transaction)
    return Effect.succeed(open._tag === "Some" ? open.value.handle : root)
  })

/** A promise of Drizzle's as an Effect. */
export const attempt = <A>(run: () => PromiseLike<A>): Effect.Effect<A, DbError> =>
  Effect.tryPromise({ try: async () => await run(), catch: (cause) => new DbError({ cause }) })

class Rollback<A, E> extends Error {
  readonly exit: Exit.Exit<A, E>
  constructor(exit: Exit.Exit<A, E>) {
    super("rollback")
    this.exit = exit
  }
}

/**
 * Drizzle's transaction around an Effect. The promise that Drizzle waits for rejects with a private carrier of the whole
 * Exit, so typed failures, defects and interruption come through unchanged; interrupting the caller waits for the rollback.
 */
const bridge = <A, E, R>(
  root: Handle,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | DbError, Exclude<R, Transaction>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Transaction>>) => {
    const parent = Context.getOption(context as Context.Context<never>, Transaction)
    const on = parent._tag === "Some" ? parent.value.handle : root
    return Effect.callback<A, E | DbError>((resume) => {
      let fiber: Fiber.Fiber<A, E> | undefined
      let abandoned = false
      const settled = on
        .transaction(
          (tx) =>
            new Promise<A>((commit, rollback) => {
              // Interrupted while it waited for a connection: nobody would know that it ran.
              if (abandoned) return rollback(new Rollback(Exit.interrupt()))
              const inside = Context.add(context, Transaction, {
                handle: tx as Handle
              }) as unknown as Context.Context<R>
              fiber = Effect.runForkWith(inside)(self)
              fiber.addObserver((exit) => (Exit.isSuccess(exit) ? commit(exit.value) : rollback(new Rollback(exit))))
            })
        )
        .then(
          (value) => resume(Effect.succeed(value)),
          (cause) =>
            resume(Reason.is(cause, Rollback) ? (cause.exit as Exit.Exit<A, E>) : Effect.fail(new DbError({ cause })))
        )
      return Effect.andThen(
        Effect.suspend(() => {
          abandoned = true
          return fiber ? Fiber.interrupt(fiber) : Effect.void
        }),
        Effect.promise(() => settled)
      )
    })
  })
