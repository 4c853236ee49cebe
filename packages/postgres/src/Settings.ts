import type * as Redacted from "effect/Redacted"
import * as Tls from "./Tls.ts"

/** Of one connection. */
export interface Options {
  readonly url: Redacted.Redacted
  /** Shown in `pg_stat_activity`: the host's name and id, by which another host ends its connections. */
  readonly applicationName?: string
  /** Ends a statement that takes longer, in ms. Default: none does. */
  readonly statementTimeout?: number
}

/** How our statements are read and written, and what they wait for, whatever ALTER ROLE, ALTER DATABASE or the url say. */
const relied = {
  // How values are written and read.
  DateStyle: "ISO",
  IntervalStyle: "postgres",
  extra_float_digits: "1",
  bytea_output: "hex",
  standard_conforming_strings: "on",
  array_nulls: "on",
  transform_null_equals: "off",
  // The fence is two statements on two snapshots: under a higher level the second one would see the first's.
  default_transaction_isolation: "read committed",
  default_transaction_read_only: "off",
  default_transaction_deferrable: "off",
  row_security: "on",
  // A host that freezes inside a transaction keeps its row locks.
  idle_in_transaction_session_timeout: "30000",
  idle_session_timeout: "0",
  lock_timeout: "0",
  // PostgreSQL 17 and newer.
  transaction_timeout: "0"
} as const

/**
 * Every setting that a connection has, by name. TimeZone, search_path and synchronous_commit are not among them: they are
 * the operator's, and no statement of ours depends on the first two.
 */
export const all = ({ statementTimeout = 0 }: Pick<Options, "statementTimeout">): Readonly<Record<string, string>> => ({
  ...relied,
  statement_timeout: String(statementTimeout)
})

/**
 * Sets all of them for the session; sent before anything else on each connection. A statement and no start-up parameters,
 * because a pooler refuses or drops most of those also where the session is the client's own, and because a server refuses
 * a parameter that it does not know.
 */
export const statement = (options: Pick<Options, "statementTimeout">): string =>
  `select set_config(name, value, false) from (values ${Object.entries(all(options))
    .map(([name, value]) => `('${name}', '${value}')`)
    .join(", ")}) as setting (name, value) where current_setting(name, true) is not null`

/**
 * Options of postgres.js for one connection: what is given here wins over the url and over PG* variables. The start-up
 * parameters are the two that every pooler passes on.
 */
export const client = ({ applicationName = "troupe" }: Pick<Options, "applicationName">) => ({
  max: 1,
  connect_timeout: 10,
  // A connection that retires in the middle of a transaction would end it.
  max_lifetime: null,
  idle_timeout: null as never,
  max_pipeline: 100,
  // Asking the server for its array types at each connect is a promise that nobody waits for: a backend that dies
  // there would end the process.
  fetch_types: false,
  onnotice: () => {},
  connection: { application_name: applicationName, client_encoding: "UTF8" }
})

/** postgres.js lets parameters of the url win over its options. */
const ours: ReadonlySet<string> = new Set(["application_name", "client_encoding", ...Tls.parameters])

/** The url for postgres.js, without the parameters that would replace ours. */
export const url = (text: string): string => {
  const query = text.indexOf("?")
  if (query < 0) return text
  const kept = text
    .slice(query + 1)
    .split("&")
    .filter((pair) => !ours.has(decodeURIComponent(pair.split("=", 1)[0]!).toLowerCase()))
  return text.slice(0, query) + (kept.length === 0 ? "" : `?${kept.join("&")}`)
}
