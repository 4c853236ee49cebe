import { Socket } from "node:net"
import postgres from "postgres"
import * as Settings from "./Settings.ts"
import * as Tls from "./Tls.ts"

// Apart from Effect: the thread of a host loads this, and must start fast.

export interface Options {
  readonly url: string
  readonly applicationName: string | undefined
  readonly onNotify?: ((channel: string) => void) | undefined
  /** The connection is gone; raised in the same tick, before anybody is told. */
  readonly onClose: () => void
  readonly types: Types
}

/**
 * A client of one connection, made when it is first used. Its settings are to be sent before its first statement. With a
 * url that asks for what TLS cannot do each statement fails with `TlsFault`.
 */
export const client = ({ applicationName, onClose, onNotify, types, url }: Options): postgres.Sql =>
  postgres(Settings.url(url), {
    ...Settings.client(applicationName === undefined ? {} : { applicationName }),
    // Its types know this option of its own only in `listen`, which opens a connection more.
    ...({ onnotify: onNotify } as object),
    onclose: onClose,
    types,
    ...security(url)
  })

/** The options of postgres.js that protect the connection as the url asks for it. */
export const security = (url: string): object => {
  try {
    const { ssl } = Tls.of(url)
    return { ssl }
  } catch (fault) {
    return { ssl: false, socket: () => broken(fault) }
  }
}

/** A socket that fails as one does that was refused: that is the one way by which postgres.js tells all that wait. */
const broken = (fault: unknown): Socket => {
  const socket = new Socket()
  setImmediate(() => socket.destroy(fault as Error))
  return socket
}

/** A flat array as PostgreSQL reads it: `{"a","b \"quoted\"",NULL}`. */
const literal = (values: ReadonlyArray<unknown>): string =>
  `{${values.map((value) => (value === null ? "NULL" : typeof value === "number" ? value : quoted(String(value)))).join(",")}}`
/** As JSON quotes, wherever that is the same: several times as fast. */
const quoted = (text: string): string =>
  foreign.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : JSON.stringify(text)
const foreign = /[\p{Cc}\p{Cs}]/u

/** The elements of a flat array as PostgreSQL writes it; numbers stay text. */
const elements = (text: string): ReadonlyArray<string | null> =>
  [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare === "NULL" ? null : bare!) : quoted.replace(/\\(.)/g, "$1")
  )

/** How values of some types, by their numbers in `pg_type`, are written and read. */
export type Types = Record<string, postgres.PostgresType>

/** The array types that our own statements use, by their fixed numbers. */
export const arrays: Types = Object.fromEntries(
  (
    [
      ["int4", 1007],
      ["int8", 1016],
      ["text", 1009],
      ["uuid", 2951]
    ] as const
  ).map(([name, oid]) => [
    `${name}s`,
    { to: oid, from: [oid], serialize: (values: ReadonlyArray<unknown>) => literal(values), parse: elements }
  ])
)
