import {
  type Account as Claims,
  encodeAccount,
  encodeOperator,
  type Export,
  fromSeed,
  newScopedSigner,
  type OperatorLimits
} from "@nats-io/jwt"
import type { Account } from "../Accounts.ts"
import { bytes, publicOf } from "../Credentials.ts"
import type { Nats } from "../Policy.ts"

/** Seeds, all of them secret, and what was signed once. */
export interface Keys {
  readonly operator: string
  /** What the server knows the operator by: a server that is told to reload refuses another one. */
  readonly operatorJwt: string
  /** Of the server's own account. */
  readonly system: string
  readonly accounts: ReadonlyMap<string, AccountKeys>
}

export interface AccountKeys {
  /** The account itself: what it may do is signed by the operator, and its users by the keys of `roles`. */
  readonly account: string
  /** What signs users that may do what the program may, and no more. */
  readonly program: string
  /** What signs users that may do everything within the account: for people and for what deploys. */
  readonly operator: string
  /** Users who were made up to then are refused, seconds since 1970; 0 for none. */
  readonly revoked: number
}

/** The operator, with the server's own account; to be made once, and kept. */
export const operatorJwt = (operator: string, system: string): Promise<string> =>
  encodeOperator("troupe", fromSeed(bytes(operator)), { system_account: publicOf(system) })

/**
 * The configuration of a nats-server in operator mode that knows these accounts: `include` it. It has no secrets; JetStream
 * and the ports are yours. Signed anew each time: let the server reload it. nats-server >= 2.11.
 */
export const jwt = async (accounts: ReadonlyArray<Account>, keys: Keys): Promise<string> => {
  const operator = fromSeed(bytes(keys.operator))
  const system = fromSeed(bytes(keys.system))
  const known = new Map([...keys.accounts].map(([name, { account }]) => [name, publicOf(account)]))
  const preloaded = await Promise.all(
    accounts.map(async (account) => {
      const own = keys.accounts.get(account.name)
      if (own === undefined) throw new TypeError(`there is no key of ${account.name}`)
      const claims = claimsOf(account, own, (name) => known.get(name) ?? "")
      const token = await encodeAccount(account.name, fromSeed(bytes(own.account)), claims, { signer: operator })
      return [account.name, publicOf(own.account), token] as const
    })
  )
  const itself = await encodeAccount("SYS", system, { limits: { ...unlimited } }, { signer: operator })
  return [
    "# One account for each service and caller, compiled from the contracts and signed: see docs/permissions.md.",
    `operator: ${keys.operatorJwt}`,
    `system_account: ${system.getPublicKey()}`,
    "resolver: MEMORY",
    "resolver_preload {",
    ...[["SYS", system.getPublicKey(), itself] as const, ...preloaded].flatMap(([name, key, token]) => [
      `  # ${name}`,
      `  ${key}: ${token}`
    ]),
    "}",
    ""
  ].join("\n")
}

const claimsOf = (
  { exports, imports, jetstream, name, role }: Account,
  keys: AccountKeys,
  keyOf: (account: string) => string
): Partial<Claims> => ({
  exports: exports.map(({ answers, subject, type }) => {
    const common = { name: subject, subject, type }
    return (
      type === "stream" ? common : { ...common, response_type: answers === "many" ? "Stream" : "Singleton" }
    ) as Export
  }),
  imports: imports.map(({ as, from, subject, type }) => ({
    name: `${from} ${subject}`,
    subject,
    local_subject: as,
    type,
    account: keyOf(from)
  })),
  limits: {
    ...unlimited,
    ...(jetstream === undefined
      ? {}
      : { mem_storage: 0, disk_storage: jetstream.bytes, streams: jetstream.streams, consumer: -1 })
  },
  signing_keys: [
    scope(keys.program, name, role),
    scope(keys.operator, "operator", { publish: [">"], subscribe: [">"] })
  ],
  ...(keys.revoked === 0 ? {} : { revocations: { "*": keys.revoked } })
})

const scope = (seed: string, role: string, { publish, subscribe }: Nats) =>
  newScopedSigner(bytes(seed), role, { pub: { allow: [...publish] }, sub: { allow: [...subscribe] } })

/** Of connections and subscriptions; a user is signed, and nobody is one by bearing a token alone. */
const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: 0,
  disallow_bearer: true
} satisfies OperatorLimits
