import type * as Redacted from "effect/Redacted"

/** One service or gateway of a development run: what its process is started with, each time. */
export interface Service {
  readonly name: string
  readonly file: string
  /** Of its health endpoints, or of all that a gateway serves; kept when it is started again. */
  readonly port: number
  readonly natsUrl: Redacted.Redacted
  /** Its own database, with its own role. A gateway has none. */
  readonly databaseUrl: Redacted.Redacted | undefined
}
