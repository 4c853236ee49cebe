import { Codes } from "@troupe/contract"
import { credentials } from "@troupe/nats"
import { Tls } from "@troupe/postgres/internal"
import * as Redacted from "effect/Redacted"
import { failed, type Finding, ok, warn } from "./Finding.ts"

/** Whether somebody between this machine and PostgreSQL could answer in its place. */
export const postgresTls = (url: Redacted.Redacted, environment?: Tls.Environment): ReadonlyArray<Finding> => {
  const check = "postgres tls"
  try {
    const { hosts, mode } = Tls.of(Redacted.value(url), environment)
    const host = hosts.find(isElsewhere)
    if (mode === "verify-full") return [ok(check, "the certificate is verified, with the name of the server")]
    if (mode === "verify-ca") return [ok(check, "the certificate is verified, without the name of the server")]
    if (host === undefined) return []
    const says =
      mode === "require"
        ? `sslmode=require encrypts, and takes whoever answers at ${host} for the server`
        : `the connection to ${host} is ${mode === "prefer" ? "encrypted only if the answer offers it" : "not encrypted"}`
    return [warn(check, says, Codes.codes.TRP0522.todo)]
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    return [failed(check, { message: Codes.text("TRP0521", "DATABASE_URL", why) })]
  }
}

/** The same of NATS. Certificates are verified with each connection that is encrypted. */
export const natsTls = (url: Redacted.Redacted, encrypted: boolean): ReadonlyArray<Finding> => {
  const check = "nats tls"
  const { servers, tls } = credentials(Redacted.value(url))
  if (tls !== undefined) return [ok(check, "the certificate is verified, with the name or address of the server")]
  const host = servers.map((server) => server.replace(/:\d+$/, "")).find(isElsewhere)
  if (host === undefined) return []
  const says = encrypted
    ? `the connection to ${host} is encrypted only because the answer offers it`
    : `the connection to ${host} is not encrypted`
  return [warn(check, says, Codes.codes.TRP0427.todo)]
}

/** Whether a host is reached over a network. */
const isElsewhere = (host: string): boolean => !/^(localhost$|127\.|\[?::1\]?$|\/)/.test(host)
