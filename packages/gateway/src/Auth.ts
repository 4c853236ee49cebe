import { Codes, JsonBounds, Reason } from "@troupe/contract"
import * as Effect from "effect/Effect"
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey
} from "jose"
import * as body from "./body.ts"
import { failure, type GatewayError } from "./GatewayError.ts"

/** Where the keys are: an HS256 secret of 32 bytes or more, the url of a JWK set, or a JWK set. */
export type Keys = { readonly secret: string } | { readonly jwksUrl: string } | { readonly jwks: JSONWebKeySet }

/**
 * How tokens (RFC 7519) are checked. Each needs `sub`, which with `iss` is the principal, and `exp`. Keys of a set are of the asymmetric kinds:
 * RS256, PS256, ES256, EdDSA.
 */
export type Auth = Keys & {
  /** `iss` must be this. */
  readonly issuer?: string
  /** `aud` must have this. */
  readonly audience?: string
  /** How wrong clocks may be, in seconds. Default: 5. */
  readonly clockTolerance?: number
  /** What a token permits, as scopes: `send:orders.Order.place`. Default: those in its claim `scope`. */
  readonly permissions?: (claims: JWTPayload) => ReadonlyArray<string>
}

/** Who sends a request, and until when that is known. */
export interface Principal {
  /** Issuer and subject of the token. Names the namespace of idempotency keys; rates and streams are counted by it. */
  readonly name: string
  readonly scopes: ReadonlyArray<string>
  /** When its token ends, in ms of Unix time. */
  readonly until: number
}

/** Why nobody is known: the token is `absent` or `wrong`, or its keys are `away` for the moment. */
export interface Unknown {
  readonly unknown: "absent" | "wrong" | "away"
  readonly why: string
}

/** Tells who sends a request by its header `Authorization`. */
export type Check = (authorization: string | null) => Effect.Effect<Principal | Unknown>

/** Everybody, where nobody has to say who he is. */
const anybody: Principal = {
  name: "anonymous",
  scopes: ["send:*", "hear:*", "metrics"],
  until: Number.POSITIVE_INFINITY
}

/** Fails with TRP0711 when nothing says whom to believe, when a secret can be guessed, and for keys that are none. */
export const make = (auth: Auth | "none" | undefined): Effect.Effect<Check, GatewayError> => {
  if (auth === undefined) return Effect.fail(failure("TRP0711", "auth", "nothing says whose tokens it takes"))
  if (auth === "none") return Effect.succeed(() => Effect.succeed(anybody))
  if ("secret" in auth && new TextEncoder().encode(auth.secret).length < 32)
    return Effect.fail(failure("TRP0711", "auth", "a secret has 32 bytes or more (RFC 7518, 3.2)"))
  if ("jwksUrl" in auth && !/^https?:$/.test(URL.parse(auth.jwksUrl)?.protocol ?? ""))
    return Effect.fail(failure("TRP0711", "auth", "jwksUrl is no http or https url"))
  const tolerance = auth.clockTolerance ?? 5
  const tell = teller(auth)
  const scopesOf = auth.permissions ?? scopes
  const checked =
    (verify: Verify): Check =>
    (authorization) => {
      const token = /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization ?? "")?.[1]
      if (token === undefined)
        return Effect.succeed({ unknown: authorization === null ? "absent" : "wrong", why: "there is no bearer token" })
      return Effect.tryPromise(() => verify(token)).pipe(
        // That `sub` and `iss` are texts is checked by nobody else.
        Effect.map((claims): Principal | Unknown => {
          const { exp = 0, iss, sub } = claims
          if (typeof sub !== "string" || sub === "" || sub.length > 255)
            return { unknown: "wrong", why: "its sub is no text of 1 to 255 characters" }
          if (iss !== undefined && (typeof iss !== "string" || iss.length > 255))
            return { unknown: "wrong", why: "its iss is no text of at most 255 characters" }
          return { name: nameOf(iss, sub), scopes: scopesOf(claims), until: (exp + tolerance) * 1_000 }
        }),
        Effect.tap(() => tell(undefined)),
        Effect.catch(({ cause }) => Effect.tap(Effect.succeed(unknown(cause)), (who) => tell(who, cause)))
      )
    }
  return Effect.try({
    try: () => checked(verifier(auth)),
    catch: () => failure("TRP0711", "auth", "jwks is no JWK set")
  })
}

/** A `sub` is unique for its issuer only (RFC 7519, 4.1.2). */
const nameOf = (iss: string | undefined, sub: string): string => JSON.stringify([iss ?? null, sub])

/** Logs that the keys of tokens cannot be fetched, once, and once that they can be fetched again. */
const teller = (auth: Auth) => {
  // Without what may be a secret of the url.
  const { origin, pathname } = new URL("jwksUrl" in auth ? auth.jwksUrl : "auth:")
  const keys = `${origin}${pathname}`
  let away = false
  return (who: Unknown | undefined, cause?: unknown): Effect.Effect<void> =>
    Effect.suspend(() => {
      const was = away
      if (who?.unknown !== "wrong") away = who?.unknown === "away"
      if (away === was) return Effect.void
      return away
        ? Effect.logWarning(Codes.text("TRP0712", keys, Reason.chain(cause)))
        : Effect.logInfo(`the keys of tokens are there again: ${keys}`)
    })
}

type Verify = (token: string) => Promise<JWTPayload>

const verifier = (auth: Auth): Verify => {
  const options = {
    algorithms: "secret" in auth ? ["HS256"] : ["RS256", "PS256", "ES256", "EdDSA"],
    clockTolerance: auth.clockTolerance ?? 5,
    requiredClaims: ["sub", "exp"],
    ...(auth.issuer === undefined ? {} : { issuer: auth.issuer }),
    ...(auth.audience === undefined ? {} : { audience: auth.audience })
  }
  if ("secret" in auth) {
    const key = new TextEncoder().encode(auth.secret)
    return async (token) => (await jwtVerify(token, key, options)).payload
  }
  const keys = "jwksUrl" in auth ? remote(new URL(auth.jwksUrl)) : createLocalJWKSet(auth.jwks)
  return async (token) => (await jwtVerify(token, keys, options)).payload
}

/** How long keys that were fetched are used, ms, and how soon they may be fetched again for a key that is not among them. */
const fresh = 600_000
const cooldown = 30_000

/** Maximum size of a JWK set: of its text in bytes, and of what is parsed. Sets of large identity providers have a tenth of it. */
const jwkSet = { bytes: 262_144, json: { values: 10_000, depth: 20 } }

/**
 * Keys that were fetched are kept; that they could not be had is remembered for a second. Ages are measured by the
 * monotonic clock: jose's own, by the wall clock, would keep revoked keys and miss new ones for as long as a clock that is
 * corrected was ahead.
 */
const remote = (url: URL): JWTVerifyGetKey => {
  const justFailed = new Error("it failed a moment ago")
  let failed = Number.NEGATIVE_INFINITY
  const sparing: FetchImplementation = (url, options) =>
    performance.now() - failed < 1_000 ? Promise.reject(justFailed) : fetch(url, options).then(bounded)
  const never = Number.POSITIVE_INFINITY
  const keys = createRemoteJWKSet(url, { [customFetch]: sparing, cacheMaxAge: never, cooldownDuration: never })
  let loaded = Number.NEGATIVE_INFINITY
  const olderThan = (ms: number) => performance.now() - loaded >= ms
  const load = async () => {
    await keys.reload()
    loaded = performance.now()
  }
  const find: JWTVerifyGetKey = async (header, token) => {
    if (olderThan(fresh)) await load()
    try {
      return await keys(header, token)
    } catch (cause) {
      if (!(cause instanceof errors.JWKSNoMatchingKey) || !olderThan(cooldown)) throw cause
      await load()
      return await keys(header, token)
    }
  }
  return async (header, token) => {
    try {
      return await find(header, token)
    } catch (cause) {
      if (cause !== justFailed && unknown(cause).unknown === "away") failed = performance.now()
      throw cause
    }
  }
}

/** The same response with a body that is read whole and keeps the bounds of a JWK set; rejects otherwise. */
const bounded = async (response: Response): Promise<Response> => {
  const text = await Effect.runPromise(
    Effect.mapError(body.read(response, jwkSet.bytes), ({ why }) => new Error(`the JWK set: ${why}`))
  )
  const exceeded = JsonBounds.exceeded(text, jwkSet.json)
  if (exceeded !== undefined) throw new Error(`the JWK set: ${exceeded.why}`)
  return new Response(text, response)
}

/** Of what is in a token it says nothing: only what is the matter with it. */
const unknown = (cause: unknown): Unknown => {
  if (cause instanceof errors.JWTExpired) return { unknown: "wrong", why: "it has expired" }
  if (cause instanceof errors.JWTClaimValidationFailed)
    return { unknown: "wrong", why: `its ${cause.claim} is missing or not what it must be` }
  if (cause instanceof errors.JOSEError && !away.has(cause.code)) return { unknown: "wrong", why: "it is not valid" }
  return { unknown: "away", why: "the keys of tokens cannot be had" }
}
const away = new Set(["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"])

const scopes = ({ scope }: JWTPayload): ReadonlyArray<string> => (typeof scope === "string" ? scope.split(" ") : [])
