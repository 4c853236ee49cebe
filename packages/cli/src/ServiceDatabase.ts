import * as Redacted from "effect/Redacted"
import type { Environment } from "./Settings.ts"

/** Where a service keeps its database on a development server: one database and one role, both of this name. */
export const nameOf = (prefix: string, service: string): string => `${prefix}_${service}`

/** The longest name that PostgreSQL keeps whole, in bytes; it cuts longer ones silently. */
export const longestName = 63

/** What the databases of a server's services begin with: the database in its url, `troupe` when that is postgres or none. */
export const prefixOf = (url: Redacted.Redacted): string => {
  const database = databaseOf(url)
  return database === "" || database === "postgres" ? "troupe" : database
}

/** The database that a url names; empty when it names none. */
export const databaseOf = (url: Redacted.Redacted): string =>
  decodeURIComponent(new URL(Redacted.value(url)).pathname.slice(1))

/** The same server and options, with another database, and with another role when given. */
export const urlOf = (
  server: Redacted.Redacted,
  database: string,
  role?: { readonly name: string; readonly password: string }
): Redacted.Redacted => {
  const url = new URL(Redacted.value(server))
  url.pathname = `/${encodeURIComponent(database)}`
  if (role !== undefined) {
    url.username = encodeURIComponent(role.name)
    url.password = encodeURIComponent(role.password)
  }
  return Redacted.make(url.href)
}

/** The variable that names one service's database where several are at work: `ORDERS_DATABASE_URL`. */
export const variableOf = (service: string): string => `${service.toUpperCase().replaceAll("-", "_")}_DATABASE_URL`

/** `ORDERS_DATABASE_URL`, when it is set. */
export const fromEnvironment = (
  service: string,
  environment: Environment = process.env
): Redacted.Redacted | undefined => {
  const value = environment[variableOf(service)]
  return value === undefined || value === "" ? undefined : Redacted.make(value)
}

/**
 * The database of a service on the server that `url` names: that of `url` itself when it is named after the service
 * already, else the one that `troupe dev` makes.
 */
export const ofService = (url: Redacted.Redacted, service: string): Redacted.Redacted => {
  const database = databaseOf(url)
  return database === service || database.endsWith(`_${service}`) ? url : urlOf(url, nameOf(prefixOf(url), service))
}
