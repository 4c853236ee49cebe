import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type postgres from "postgres"
import { arrays, client as clientOf, type Types } from "./client.ts"
import * as Settings from "./Settings.ts"

export { arrays, type Types } from "./client.ts"

/** Where Postgres is, and who asks. */
export interface Options extends Settings.Options {
  /** Connections at most. Default 4. */
  readonly max?: number
  /** A connection that answers nothing for so long, in ms, is given up as lost. Default 15 seconds. */
  readonly patience?: number
  /** Hears what is notified on the channels that somebody listens to on this connection. */
  readonly onNotify?: (channel: string) => void
}

/**
 * One connection to Postgres, made when it is first used and again after it was lost, each time by a new client of
 * postgres.js 3.4: an old one cannot be trusted after a loss. It may send what was left in its buffer before the start-up
 * message and then wait for ever, repeat on the new connection what was meant for a transaction on the old one, or end
 * the process (porsager/postgres#1154, #1208).
 */
export interface Connection {
  /** The client of now. */
  sql(): postgres.Sql
  /**
   * Runs a statement, within the connection's patience: a link that swallows everything would be waited for until TCP
   * gives up, and postgres.js waits for ever after a connection that was lost while it was made.
   */
  ask<A>(start: (sql: postgres.Sql) => PromiseLike<A>): Promise<A>
  /** Gives a client up, if it is still the one of now: the next statement has a new one. */
  drop(client: postgres.Sql): void
  /** How often it was lost: raised in the same tick in which the socket is gone, before anybody is told. */
  losses(): number
}

/** A connection that ends with its scope. */
export const make = (options: Options, types: Types = arrays): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => open(options, types)),
      (connection) => Effect.promise(() => connection.end())
    ),
    ({ ask, drop, losses, sql }) => ({ ask, drop, losses, sql })
  )

const open = (options: Options, types: Types) => {
  let losses = 0
  let ended = false
  const { patience = 15_000 } = options
  const lose = (old: postgres.Sql): void => {
    if (ended || current !== old) return
    losses++
    current = connect()
    // Fails what still waits in the old one.
    old.end({ timeout: 0 }).catch(() => {})
  }
  const connect = (): postgres.Sql => {
    const client: postgres.Sql = clientOf({
      url: Redacted.value(options.url),
      applicationName: options.applicationName,
      onNotify: options.onNotify,
      onClose: () => lose(client),
      types
    })
    return client
  }
  let current = connect()
  let settled: postgres.Sql | undefined
  /** Why a client got no session: what waits behind its first statement is only told that it was destroyed. */
  const refusals = new WeakMap<postgres.Sql, unknown>()
  /** The client of now. Its settings are sent before its first statement, which does not wait for them. */
  const sql = (): postgres.Sql => {
    const client = current
    if (settled !== client) {
      settled = client
      client.unsafe(Settings.statement(options)).catch((cause: unknown) => {
        // A session without them is of no use.
        refusals.set(client, cause)
        lose(client)
      })
    }
    return client
  }
  return {
    sql,
    ask: async <A>(start: (sql: postgres.Sql) => PromiseLike<A>): Promise<A> => {
      const client = sql()
      let timer: ReturnType<typeof setTimeout> | undefined
      let answered = false
      const late = new Promise<never>((_, reject) => {
        const tell = (): void => {
          if (answered) return
          lose(client)
          reject(Object.assign(new Error(`no answer in ${patience} ms`), { code: "CONNECTION_CLOSED" }))
        }
        // The timer of a process that starved is late itself: what has arrived meanwhile is read first.
        timer = setTimeout(() => setImmediate(() => setImmediate(tell)), patience)
      })
      try {
        return await Promise.race([start(client), late])
      } catch (cause) {
        throw refusals.get(client) ?? cause
      } finally {
        answered = true
        clearTimeout(timer)
      }
    },
    drop: lose,
    losses: () => losses,
    end: () => {
      ended = true
      return current.end({ timeout: 5 })
    }
  }
}

/** So many connections as one client: a statement goes to the one with the least to do. It opens no transaction. */
export const pool = (options: Options, types: Types = arrays): Effect.Effect<postgres.Sql, never, Scope.Scope> =>
  Effect.gen(function* () {
    const members = yield* Effect.forEach(Array.from({ length: options.max ?? 4 }), () =>
      Effect.map(make(options, types), (connection) => ({ connection, waiting: 0 }))
    )
    const run = async <A>(start: (sql: postgres.Sql) => PromiseLike<A>): Promise<A> => {
      const member = members.reduce((least, one) => (one.waiting < least.waiting ? one : least))
      member.waiting++
      try {
        return await member.connection.ask(start)
      } finally {
        member.waiting--
      }
    }
    const tag = (strings: TemplateStringsArray, ...parameters: Array<never>) =>
      run((sql) => sql(strings, ...parameters))
    const unsafe: postgres.Sql["unsafe"] = ((...statement) => {
      const start = (values: boolean) =>
        run<unknown>((sql) => (values ? sql.unsafe(...statement).values() : sql.unsafe(...statement)))
      return lazy(start)
    }) as postgres.Sql["unsafe"]
    return Object.assign(tag, { unsafe }) as unknown as postgres.Sql
  })

/** As postgres.js' own queries: nothing is sent before somebody waits, and `values()` asks for rows as arrays. */
export const lazy = (start: (values: boolean) => Promise<unknown>): never =>
  ({
    values: () => start(true),
    // oxlint-disable-next-line unicorn/no-thenable, promise/no-callback-in-promise
    then: (done: never, failed: never) => start(false).then(done, failed)
  }) as never
