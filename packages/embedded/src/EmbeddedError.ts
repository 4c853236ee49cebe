/**
 * What went wrong while a server was fetched or started.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The cases, each with its code in Troupe's error table.
 *
 * @category models
 * @since 0.1.0
 */
export const codes = {
  /** No nats-server could be found or fetched. */
  natsMissing: "TRP0020",
  /** The nats-server that was named is older than 2.11. */
  natsTooOld: "TRP0021",
  /** The port that was asked for is in use. */
  portTaken: "TRP0022",
  /** There are no PostgreSQL binaries for this platform, or they are not installed. */
  postgresMissing: "TRP0023",
  /** initdb could not make a data folder. */
  initdbFailed: "TRP0024",
  /** The server ended, or did not answer in time; the message has its last log lines. */
  notStarted: "TRP0025",
  /** A folder for data or binaries could not be written. */
  folder: "TRP0026",
  /** Another running server uses the data folder. */
  inUse: "TRP0027",
  /** A configuration that Troupe did not write stands where its own would. */
  foreign: "TRP0613"
} as const

/**
 * A server could not be had. The message has the form `what happened · to what · why · what to do`.
 *
 * @category errors
 * @since 0.1.0
 */
export class EmbeddedError extends Schema.TaggedError<EmbeddedError>()("EmbeddedError", {
  code: Schema.Literals(Object.values(codes)),
  message: Schema.String
}) {}

/**
 * Makes an `EmbeddedError` from the four parts of its message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  kind: keyof typeof codes,
  parts: { readonly happened: string; readonly to: string; readonly why: string; readonly todo: string }
): EmbeddedError =>
  new EmbeddedError({ code: codes[kind], message: `${parts.happened} · ${parts.to} · ${parts.why} · ${parts.todo}` })
