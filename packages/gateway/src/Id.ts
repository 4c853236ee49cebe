import { Id } from "@troupe/contract"
import * as Effect from "effect/Effect"
import type { Auth } from "./Auth.ts"
import { failure, type GatewayError } from "./GatewayError.ts"

/** Who sends what to which actor, and what the sender calls it: an idempotency key, or source and id of a CloudEvent. */
export interface Named {
  readonly principal: string
  /** `orders.Order.place` */
  readonly type: string
  readonly key: string
  readonly name: ReadonlyArray<string>
}

/** The message id of a request: the same for the same request, in every gateway that has the same secret. */
export type OfRequest = (request: Named) => Promise<string>

/**
 * Makes message ids from a secret: UUIDv8 of HMAC-SHA-256 (RFC 2104) of all that names the request. All of it, since the stream
 * drops a second message of one id. With a secret, since a program that sends commands over NATS chooses its ids: one that
 * could compute the id of somebody's request could send a command under it first, and the request would not be handled.
 * `secret` defaults to that of the tokens. Fails with TRP0219 when there is none, or a short one.
 */
export const make = (
  secret: string | undefined,
  auth: Auth | "none" | undefined
): Effect.Effect<OfRequest, GatewayError> =>
  Effect.gen(function* () {
    const found = secret ?? (auth === "none" ? unprotected : auth !== undefined && "secret" in auth ? auth.secret : "")
    const bytes = new TextEncoder().encode(found)
    if (bytes.length < 32)
      return yield* failure(
        "TRP0219",
        "idSecret",
        secret === undefined ? "there is none" : `it has ${bytes.length} bytes`
      )
    const hmac = { name: "HMAC", hash: "SHA-256" }
    const key = yield* Effect.promise(() => crypto.subtle.importKey("raw", bytes, hmac, false, ["sign"]))
    return async ({ key: actor, name, principal, type }) => {
      const text = new TextEncoder().encode(JSON.stringify([principal, type, actor, ...name]))
      const hash = new Uint8Array(await crypto.subtle.sign("HMAC", key, text))
      return Id.version8(Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""))
    }
  })

/** Without tokens everybody is the same principal, and may send under its ids anyway. */
const unprotected = "a gateway that takes requests without tokens"
