import type { Auth } from "./Auth.ts"

/**
 * Whose tokens a gateway takes that does not say so itself: `TROUPE_JWKS_URL` or `TROUPE_JWT_SECRET`, with
 * `TROUPE_JWT_ISSUER` and `TROUPE_JWT_AUDIENCE`; or everybody without one, by `TROUPE_AUTH=none`. Empty is not set.
 */
export const auth = (environment: { readonly [name: string]: string | undefined }): Auth | "none" | undefined => {
  const [jwksUrl, secret, issuer, audience] = ["JWKS_URL", "JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE"].map(
    (name) => environment[`TROUPE_${name}`] || undefined
  )
  const checks = { ...(issuer === undefined ? {} : { issuer }), ...(audience === undefined ? {} : { audience }) }
  if (jwksUrl !== undefined) return { jwksUrl, ...checks }
  if (secret !== undefined) return { secret, ...checks }
  return environment["TROUPE_AUTH"] === "none" ? "none" : undefined
}

/** What the ids of requests are made from, for a gateway that does not say so itself: `TROUPE_ID_SECRET`. Empty is not set. */
export const idSecret = (environment: { readonly [name: string]: string | undefined }): string | undefined =>
  environment["TROUPE_ID_SECRET"] || undefined
