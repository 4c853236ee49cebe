import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import type postgres from "postgres"
import * as Connection from "./Connection.ts"
import { failure, type PostgresError, redactedUrl, unreached } from "./Sql.ts"

/** How long a notification may take, in ms. */
const patience = 10_000

/**
 * Fails unless each connection is a session of its own on a database that can hold what we write: TRP0513, TRP0514 or
 * TRP0515. A pooler that hands out a session for one transaction or statement loses locks, LISTEN and settings between
 * two, silently. It is found by what it does, whatever it is called: two connections mark their sessions, and each looks
 * for its own mark in another order than they were set.
 */
export const check = (options: Connection.Options): Effect.Effect<void, PostgresError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const where = redactedUrl(options.url)
      const heard = new Set<string>()
      const first = yield* Connection.make({ ...options, onNotify: (channel) => void heard.add(channel) })
      const second = yield* Connection.make(options)
      const fault = yield* Effect.tryPromise({
        try: async () =>
          (await first.ask(ofDatabase)) ??
          (await ofSessions([first, second], options.applicationName ?? "troupe")) ??
          (await ofNotifications(first, second, heard)),
        catch: (cause) => unreached(where, cause)
      })
      if (fault !== undefined) return yield* failure(fault.code, where, fault.why)
    })
  )

/** Why a database, or the session that was given, is unfit. */
export interface Fault {
  readonly code: "TRP0513" | "TRP0514" | "TRP0515"
  readonly why: string
}

/** What is the matter with the database, as this role sees it. */
export const ofDatabase = async (sql: postgres.Sql): Promise<Fault | undefined> => {
  const [row] = await sql`select pg_encoding_to_char(encoding) as encoding,
    current_setting('session_replication_role') as replication from pg_database where datname = current_database()`
  const { encoding, replication } = row as Record<"encoding" | "replication", string>
  if (encoding !== "UTF8") return { code: "TRP0514", why: `its encoding is ${encoding}` }
  // Only a superuser sets it, so we cannot.
  if (replication !== "origin")
    return { code: "TRP0515", why: `session_replication_role is ${replication}, not origin: triggers do not fire` }
  return undefined
}

/** Why what was committed may be lost, although nothing is wrong; that is the operator's choice. */
export const risk = async (sql: postgres.Sql): Promise<string | undefined> => {
  const [row] = await sql`select current_setting('synchronous_commit') as commit`
  return row?.["commit"] === "off" ? "synchronous_commit is off for this role" : undefined
}

const lost = () => Object.assign(new Error("the connection was lost"), { code: "CONNECTION_CLOSED" })

interface Seen {
  readonly mark: string
  readonly pid: number
  readonly name: string | null
}

const see = async (connection: Connection.Connection): Promise<Seen> => {
  const [row] = await connection.ask(
    (sql) => sql`select current_setting('troupe.session', true) as mark, pg_backend_pid() as pid,
      (select application_name from pg_stat_activity where pid = pg_backend_pid()) as name`
  )
  // A connection that was made again has another session, and nothing is wrong with that.
  if (connection.losses() > 0) throw lost()
  return row as unknown as Seen
}

const ofSessions = async (
  connections: ReadonlyArray<Connection.Connection>,
  applicationName: string
): Promise<Fault | undefined> => {
  const marks: Array<Seen> = []
  for (const connection of connections) {
    await connection.ask((sql) => sql`select set_config('troupe.session', ${randomUUID()}, false)`)
    marks.push(await see(connection))
  }
  for (const i of [1, 0, 0, 1]) {
    const [was, is] = [marks[i]!, await see(connections[i]!)]
    if (is.pid !== was.pid || is.mark !== was.mark || marks[1 - i]!.pid === is.pid)
      return {
        code: "TRP0513",
        why: `statements of one connection ran in sessions of others (processes ${was.pid}, ${is.pid})`
      }
    if (is.name !== applicationName)
      return { code: "TRP0513", why: `application_name arrived as ${is.name ?? "none"}, not as ${applicationName}` }
  }
  return undefined
}

const ofNotifications = async (
  listener: Connection.Connection,
  other: Connection.Connection,
  heard: ReadonlySet<string>
): Promise<Fault | undefined> => {
  const channel = `troupe_session_${randomUUID().replaceAll("-", "")}`
  await listener.ask((sql) => sql.unsafe(`listen ${channel}`))
  await other.ask((sql) => sql`select pg_notify(${channel}, '')`)
  const until = performance.now() + patience
  while (!heard.has(channel)) {
    if (listener.losses() > 0) throw lost()
    if (performance.now() > until)
      return {
        code: "TRP0513",
        why: `a notification did not reach the connection that listens in ${patience / 1_000} s`
      }
    // What was notified comes with, or before, the answer to the next statement.
    await listener.ask((sql) => sql`select 1`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return undefined
}
