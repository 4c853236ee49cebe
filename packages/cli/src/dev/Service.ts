import type * as Redacted from "effect/Redacted"

/** One service of a development run: what its process is started with, each time. */
export interface Service {
  readonly name: string
  readonly file: string
  /** Of its health endpoints; kept when it is started again. */
  readonly port: number
  readonly natsUrl: Redacted.Redacted
  /** Its own database, with its own role. */
  readonly databaseUrl: Redacted.Redacted
}
