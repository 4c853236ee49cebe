import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import type { ConnectionOptions } from "node:tls"

/** How a connection is protected, as `sslmode` of libpq says it; `allow` is taken for `prefer`. */
const modes = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const
export type Mode = (typeof modes)[number]

export interface Tls {
  readonly mode: Mode
  /** The hosts that the url or PGHOST names, without ports. */
  readonly hosts: ReadonlyArray<string>
  /** The option `ssl` of postgres.js. */
  readonly ssl: false | "prefer" | ConnectionOptions
}

/** The url asks for something that cannot be done: a mode that there is not, a file that cannot be read. */
export class TlsFault extends Error {
  readonly code = "TRP0521"
}

export type Environment = { readonly [name: string]: string | undefined }

/** Parameters of the url that are not the server's. postgres.js would send it all but the first two as settings. */
export const parameters = ["sslmode", "ssl", "sslrootcert", "sslcert", "sslkey"] as const

/**
 * What `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of the url ask for, or PGSSLMODE and so on, with the meaning that
 * libpq gives them (https://www.postgresql.org/docs/current/libpq-ssl.html), but for two defaults: without a mode there is
 * no TLS, and without `sslrootcert` `verify-full` takes the authorities of Node.js. The files are read by each call, so
 * that a new connection meets the renewed ones. Throws `TlsFault`.
 */
export const of = (url: string, environment: Environment = process.env): Tls => {
  const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "")
  const setting = (name: (typeof parameters)[number]): string | undefined =>
    query.get(name) || environment[`PG${name.toUpperCase()}`] || undefined
  const hosts = hostsOf(url, environment)
  const root = setting("sslrootcert")
  const mode = modeOf(setting("sslmode") ?? setting("ssl"), root)
  // As libpq: what goes through a file of this machine is not encrypted.
  if (mode === "disable" || hosts.every((host) => host.startsWith("/"))) return { mode: "disable", hosts, ssl: false }
  if (mode === "prefer") return { mode, hosts, ssl: "prefer" }
  const options: ConnectionOptions = {
    ...file("ca", "sslrootcert", root === "system" ? undefined : root),
    ...file("cert", "sslcert", setting("sslcert")),
    ...file("key", "sslkey", setting("sslkey"))
  }
  return { mode, hosts, ssl: { ...options, ...verification(mode, hosts) } }
}

const modeOf = (given: string | undefined, root: string | undefined): Mode => {
  const named = given === "true" ? "verify-full" : given === "false" ? "disable" : given === "allow" ? "prefer" : given
  const mode = modes.find((mode) => mode === (named ?? (root === "system" ? "verify-full" : "disable")))
  if (mode === undefined) throw new TlsFault(`sslmode is ${JSON.stringify(given)}, and none of ${modes.join(", ")}`)
  if (root === "system" && mode !== "verify-full")
    throw new TlsFault(`sslrootcert=system needs sslmode=verify-full, and it is ${mode}`)
  // Anybody gets a certificate of some public authority.
  if (mode === "verify-ca" && root === undefined) throw new TlsFault("sslmode=verify-ca needs sslrootcert")
  return mode === "require" && root !== undefined ? "verify-ca" : mode
}

const verification = (mode: Mode, hosts: ReadonlyArray<string>): ConnectionOptions => {
  if (mode === "require") return { rejectUnauthorized: false }
  if (mode === "verify-ca") return { checkServerIdentity: () => undefined }
  const [host = "", ...others] = hosts
  // postgres.js says which of several names it reaches, but of an address nothing: Node.js would compare the certificate
  // with the name `localhost`.
  if (others.length === 0) return { host }
  const address = hosts.find((host) => isIP(host) !== 0)
  if (address !== undefined)
    throw new TlsFault(`sslmode=verify-full with several hosts needs their names, and one is ${address}`)
  return {}
}

const file = (option: "ca" | "cert" | "key", parameter: string, path: string | undefined): ConnectionOptions => {
  if (path === undefined) return {}
  try {
    return { [option]: readFileSync(path) }
  } catch (cause) {
    throw new TlsFault(`${parameter} cannot be read: ${cause instanceof Error ? cause.message : path}`)
  }
}

const hostsOf = (url: string, environment: Environment): ReadonlyArray<string> => {
  const [, authority = ""] = /^[^:]+:\/\/(?:[^/?]*@)?([^/?]*)/.exec(url) ?? []
  const named = decodeURIComponent(authority) || environment["PGHOST"] || "localhost"
  return named.split(",").map((one) => /^\[(.*)\]/.exec(one)?.[1] ?? (isIP(one) === 6 ? one : one.replace(/:\d*$/, "")))
}
