/** The tag that says in credentials which account they are of, where each service has an account of its own. */
export const tag = (account: string): string => `troupe:${account}`

/** What the credentials of a NATS user say of it; nothing where they are none, which the server refuses. */
export interface User {
  /** The account that it is of, where each service has one of its own. `undefined`: all users share one. */
  readonly account?: string | undefined
  /** The server ends its connection then, ms since 1970. `undefined`: never. */
  readonly expires?: number | undefined
}

/** Reads the text of a creds file. Nothing is verified: the server does that. */
export const userOf = (creds: string): User => {
  const [, claims = ""] = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(creds) ?? []
  try {
    const { exp, nats } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))) as {
      readonly exp?: number
      readonly nats?: { readonly tags?: ReadonlyArray<string> }
    }
    const account = nats?.tags?.find((one) => one.startsWith(tag("")))?.slice(tag("").length)
    return { account, expires: exp === undefined ? undefined : exp * 1_000 }
  } catch {
    return {}
  }
}

/**
 * Where a user of an account reaches the JetStream API of a stream: `EVT_orders`. That of another account is imported under a name of
 * its own: an account has one `$JS.API` already, which would answer first that there is no such stream.
 */
export const api = (account: string | undefined, stream: string): string => {
  const service = stream.slice(stream.indexOf("_") + 1)
  return account === undefined || account === service ? "$JS.API" : `JS.${service}.API`
}
