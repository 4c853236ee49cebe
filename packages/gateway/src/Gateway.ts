import type { Contract, Message } from "@troupe/contract"
import type { Auth } from "./Auth.ts"
import { limits, type Limits } from "./Limits.ts"

/** HTTP in front of contracts, as declared. `troupe run` and `troupe dev` serve it; elsewhere `toWebHandler` does. */
export interface Gateway {
  readonly "~troupe": "gateway"
  /** Its NATS user, and `ce-source` of its messages. */
  readonly name: string
  readonly contracts: ReadonlyArray<Contract.AnyContract>
  readonly auth: Auth | "none" | undefined
  readonly limits: Limits
  /** Origins whose pages may use it, such as `https://shop.example`. */
  readonly origins: ReadonlyArray<string>
  /**
   * Where others reach it, for the examples of its page. Without it the page names the address at which Node.js listens, if
   * that is loopback; else its examples take the address from a variable. What requests say is never shown.
   */
  readonly url: string | undefined
  /** True: anyone gets the page and the documents of its contracts, within the limits of one principal for all of them. */
  readonly documents: boolean
  /** A command that a newcomer can try: `troupe dev` shows it as a `curl`. */
  readonly example: Message | undefined
  /** What the ids of requests are made from, so that no one else can compute them. */
  readonly idSecret: string | undefined
}

/**
 * Declares a gateway. Every command and event of the contracts can be reached; who may reach what is in their token. Without
 * `auth` it takes what the environment says (`TROUPE_JWKS_URL`, `TROUPE_JWT_SECRET`), and without that it does not start.
 * `"none"` lets everybody do everything, and is served on loopback only. Throws a `TypeError` for a name that is no NATS
 * user, two contracts of one service, a limit that is no number above 0, and what is no origin or url.
 */
export const make = (options: {
  readonly contracts: ReadonlyArray<Contract.AnyContract>
  /** Default: `gateway`. */
  readonly name?: string
  readonly auth?: Auth | "none"
  readonly limits?: Partial<Limits>
  readonly origins?: ReadonlyArray<string>
  readonly url?: string
  /** Default: true. They need no token. */
  readonly documents?: boolean
  readonly example?: Message
  /**
   * 32 bytes or more, the same in all gateways in front of the same services: an `Idempotency-Key` has another message id where
   * it differs, also after it was changed. Default: `TROUPE_ID_SECRET`, else the secret of `auth`. Tokens of public keys need it.
   */
  readonly idSecret?: string
}): Gateway => {
  const name = options.name ?? "gateway"
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) throw new TypeError(`"${name}" is no name for a gateway`)
  const services = options.contracts.map((contract) => contract["~service"])
  const twice = services.find((service, i) => services.indexOf(service) < i)
  if (twice !== undefined) throw new TypeError(`two contracts are of the service ${twice}`)
  const all = { ...limits, ...options.limits }
  const wrong = numbers(all).find(([, value]) => !(value > 0 && Number.isFinite(value)))
  if (wrong !== undefined) throw new TypeError(`${wrong[1]} is no limit: ${wrong[0]} must be a number above 0`)
  const origins = options.origins ?? []
  const strange = origins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
  if (strange !== undefined) throw new TypeError(`"${strange}" is no origin: write https://shop.example`)
  if (options.url !== undefined && !/^https?:$/.test(URL.parse(options.url)?.protocol ?? ""))
    throw new TypeError(`"${options.url}" is no url: write https://api.shop.example`)
  return {
    "~troupe": "gateway",
    name,
    contracts: options.contracts,
    auth: options.auth,
    limits: all,
    origins,
    url: options.url,
    documents: options.documents ?? true,
    example: options.example,
    idSecret: options.idSecret
  }
}

const numbers = (value: object, of = "limits"): ReadonlyArray<readonly [name: string, value: number]> =>
  Object.entries(value).flatMap(([name, one]) =>
    typeof one === "object" ? numbers(one, `${of}.${name}`) : [[`${of}.${name}`, Number(one)] as const]
  )
