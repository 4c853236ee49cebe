import type { PgDatabase } from "drizzle-orm/pg-core"
import type { PostgresJsQueryResultHKT } from "drizzle-orm/postgres-js"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type postgres from "postgres"
import * as Connection from "./Connection.ts"
import * as Drizzle from "./drizzle.ts"
import * as Settings from "./Settings.ts"

/** Drizzle's database or transaction. */
export type Handle = PgDatabase<PostgresJsQueryResultHKT, Record<string, never>>

export interface Options extends Connection.Options {
  /**
   * The savepoints of a transaction are turns of handlers: what one of them sets, such as `search_path` or a role, ends with
   * it, and what it leaves in the session, such as temporary tables and advisory locks, ends with the transaction.
   */
  readonly turns?: boolean
}

/**
 * Drizzle over postgres.js, with transactions of our own: those of postgres.js go on using a connection whose backend has
 * died, and what is sent then may run outside of any transaction and stay. Here each transaction has a connection to
 * itself, statements go one at a time, and after a loss none goes at all.
 */
export const handle = (options: Options): Effect.Effect<Handle, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pool = yield* Connection.pool({ ...options, max: 2 }, untouched)
    const free = yield* Effect.forEach(Array.from({ length: options.max ?? 4 }), () =>
      Connection.make(options, untouched)
    )
    const setAnew = options.turns === true ? `${resetAll}; ${Settings.statement(options)}; ` : ""
    const waiting: Array<(connection: Connection.Connection) => void> = []
    const begin = async <A>(run: (tx: Statements) => Promise<A>): Promise<A> => {
      const mine = free.pop() ?? (await new Promise<Connection.Connection>((resolve) => waiting.push(resolve)))
      try {
        return await transaction(mine, run, setAnew)
      } finally {
        if (options.turns === true) tidy(mine)
        const next = waiting.shift()
        if (next === undefined) free.push(mine)
        else next(mine)
      }
    }
    return database({ unsafe: pool.unsafe, begin } as unknown as postgres.Sql)
  })

/** With what a turn is over, in the message that releases its savepoint. */
const resetAll = "reset session authorization; reset role; reset all"

/** What a session has besides its settings. Not `discard all`: that drops the plans of our functions as well. */
const forget = "close all; deallocate all; unlisten *; select pg_advisory_unlock_all(); discard temp; discard sequences"

/** Nobody waits for it: it is sent in front of the next transaction. A session that does not forget is given up. */
const tidy = (connection: Connection.Connection): void => {
  const session = connection.sql()
  connection.ask(() => session.unsafe(forget)).catch(() => connection.drop(session))
}

/** Drizzle reads and writes dates, times and json itself: they reach it as Postgres writes them. */
const untouched: Connection.Types = {
  ...Connection.arrays,
  ...Object.fromEntries(
    [1082, 1083, 1114, 1184, 1182, 1185, 1115, 1231, 114, 3802].map((oid) => [
      `t${oid}`,
      // What Postgres calls json is parsed, as Drizzle's own driver has it.
      { to: oid, from: oid === 114 || oid === 3802 ? [] : [oid], serialize: same, parse: same }
    ])
  )
}
function same(value: unknown): unknown {
  return value
}

/** What Drizzle asks of a transaction of postgres.js. */
interface Statements {
  unsafe: postgres.Sql["unsafe"]
  savepoint<A>(run: (tx: Statements) => Promise<A>): Promise<A>
}

const database = (sql: postgres.Sql): Handle => {
  const dialect = new Drizzle.PgDialect()
  return new Drizzle.PgDatabase(
    dialect,
    new Drizzle.PostgresJsSession(sql, dialect, undefined),
    undefined
  ) as unknown as Handle
}

/**
 * Nothing more can be done in the transaction, nor in a savepoint of it: its connection is gone. An error that only says so,
 * such as one that a statement raised with a SQLSTATE of that class, is none.
 */
export class TransactionLost extends Error {
  override readonly name = "TransactionLost"
  readonly code = "CONNECTION_CLOSED"
  constructor(cause?: unknown) {
    super("the connection of this transaction was lost", { cause })
  }
}

const transaction = async <A>(
  connection: Connection.Connection,
  run: (tx: Statements) => Promise<A>,
  setAnew: string
): Promise<A> => {
  const losses = connection.losses()
  await connection.ask((sql) => sql.unsafe("begin"))
  let last: Promise<unknown> = Promise.resolve()
  let failure: unknown
  /** One after another, and none after a loss: what is sent then would not be part of this transaction. */
  const send =
    (isOver: () => boolean): Statements["unsafe"] =>
    (query, parameters, options) =>
      Connection.lazy((values) => {
        const sent = last.then(() => {
          if (isOver()) throw new Error("the transaction of this statement is over")
          if (connection.losses() !== losses) throw new TransactionLost()
          return connection.ask<unknown>((sql) => {
            const pending = sql.unsafe(query, parameters, options)
            return values ? pending.values() : pending
          })
        })
        last = sent.catch((error: unknown) => {
          if (!isOver()) failure ??= error
        })
        return sent
      })

  /**
   * Runs what is between two statements; when it fails, or cannot be kept, `undo` leaves nothing of it. What goes on
   * afterwards all the same, such as a handler that took too long, sends nothing more. `ending`: what ends a savepoint in it.
   */
  const between = async <B>(
    within: () => boolean,
    inner: (tx: Statements) => Promise<B>,
    keep: string,
    undo: string,
    ending = ""
  ): Promise<B> => {
    let over = false
    let keeping = false
    const isOver = () => over || within()
    // Of a savepoint whose transaction is over as well: that was rolled back with it, and its name may be another's by now.
    const bracket = send(within)
    try {
      failure = undefined
      const result = await inner({
        unsafe: send(isOver),
        savepoint: async (innermost) => {
          const name = `s${++points}`
          await send(isOver)(`savepoint ${name}`)
          return await between(isOver, innermost, `${ending}release savepoint ${name}`, `rollback to savepoint ${name}`)
        }
      })
      over = true
      keeping = true
      const { command } = await bracket(keep)
      // Postgres answers a commit of a failed transaction with a rollback, and without an error.
      if (keep === "commit" && command === "ROLLBACK") throw failure
      return result
    } catch (error) {
      over = true
      const cause = failedBefore(error) ? (failure ?? error) : error
      const undone = await bracket(undo).then(
        () => true,
        () => false
      )
      // Of a whole transaction that was to be undone anyway, why is more than that it was lost.
      if (!undone && (keeping || keep !== "commit")) throw new TransactionLost(failure ?? cause)
      throw cause
    }
  }
  let points = 0
  return await between(() => false, run, "commit", "rollback", setAnew)
}

/** 25P02: a statement failed before this one, and nobody minded. */
const failedBefore = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "25P02"
