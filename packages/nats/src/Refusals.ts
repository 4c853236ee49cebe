import { errors, type Status } from "@nats-io/nats-core"
import { type Account, type Codes, Declaration } from "@troupe/contract"

/** Why the server refuses the user, or `undefined` when it was something else. */
export const ofUser = (cause: unknown, user: Account.User, now: number): string | undefined => {
  if (!(cause instanceof errors.AuthorizationError || cause instanceof errors.UserAuthenticationExpiredError))
    return undefined
  const { expires } = user
  return expires !== undefined && expires <= now
    ? `its credentials expired at ${new Date(expires).toISOString()}`
    : `${cause.message}: its credentials are not valid, or were revoked`
}

/** Whether no connection was made because Node.js or OpenSSL did not accept the certificate, or the server not ours. */
export const isUntrusted = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && untrusted.test(String(cause.code))

/** https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const untrusted =
  /^(ERR_(TLS|SSL|OSSL)_\w+|EPROTO|(CERT|CRL|DEPTH_ZERO|ERROR_IN|INVALID|PATH|SELF_SIGNED|UNABLE_TO)_[A-Z_]+|HOSTNAME_MISMATCH)$/

/** So many different subjects are told of at most. */
const atMost = 100

/**
 * Tells what the server says of no single operation, until the connection is closed: that the user is refused, once for each
 * time that the connection is away, since it is tried again and may be renewed; and what it must not publish or hear, once
 * for each command, event or other subject.
 */
export const follow = async (
  status: AsyncIterable<Status>,
  user: () => Account.User,
  tell: (code: Extract<Codes.Code, "TRP0412" | "TRP0413">, to: string | undefined, why: string) => void
): Promise<void> => {
  let connected = true
  let said = false
  const refused = new Set<string>()
  for await (const one of status) {
    if (one.type === "reconnect") [connected, said] = [true, false]
    if (one.type === "disconnect") connected = false
    if (one.type !== "error") continue
    if (one.error instanceof errors.PermissionViolationError) {
      const { operation, subject } = one.error
      const [what = subject] = /^(?:cmd|evt)(?:\.[^.]+){3}/.exec(subject) ?? []
      if (refused.size === atMost || refused.has(what)) continue
      refused.add(what)
      tell("TRP0413", what, declarationOf(operation, what))
    }
    // What ends a connection is no trouble yet: the next one may have credentials that were renewed.
    const why = connected || said ? undefined : ofUser(one.error, user(), Date.now())
    if (why === undefined) continue
    said = true
    tell("TRP0412", undefined, why)
  }
}

const declarationOf = (operation: string, what: string): string => {
  const [, target] = /^cmd\.([^.]+\.[^.]+)\./.exec(what) ?? []
  return target === undefined
    ? `the user may not ${operation === "publish" ? "publish" : "subscribe to"} it`
    : `it is not declared: ${Declaration.ofPart(target, ["…"])}`
}
