import type { Principal } from "./Auth.ts"
import type { Problem } from "./Problem.ts"

/**
 * Whether a principal may send a command, `orders.Order.place`: by `send:orders.Order.place`, `send:orders.Order.*`,
 * `send:orders.*` or `send:*`.
 */
export const sending = ({ scopes }: Principal, type: string): boolean => {
  const [service = "", actor = ""] = type.split(".")
  return [type, `${service}.${actor}.*`, `${service}.*`, "*"].some((what) => scopes.includes(`send:${what}`))
}

/** Whether a principal may hear the events of a service: by `hear:orders` or `hear:*`. */
export const hearing = ({ scopes }: Principal, service: string): boolean =>
  scopes.includes(`hear:${service}`) || scopes.includes("hear:*")

/** RFC 6750, 3.1. */
export const refused = (scope: string): Problem => ({
  status: 403,
  code: "TRP0707",
  why: scope,
  headers: { "www-authenticate": `Bearer realm="troupe", error="insufficient_scope", scope="${scope}"` }
})
