import { createAccount, createOperator, createUser, encodeUser, fmtCreds, fromSeed } from "@nats-io/jwt"
import { Account } from "@troupe/contract"

/** Of whom, by whom, and for how long. */
export interface Options {
  readonly account: string
  /** The public key of the account. */
  readonly key: string
  /** The seed that signs users of the role. */
  readonly signer: string
  /** The user may connect, and stay connected, until then: seconds since 1970. */
  readonly expires: number
}

/** A new user of an account, as the text of a creds file, which is secret. What it may do says the account, not the user. */
export const make = async ({ account, expires: exp, key, signer }: Options): Promise<string> => {
  const own = createUser()
  const options = { signer: bytes(signer), scopedUser: true, exp }
  return new TextDecoder().decode(
    fmtCreds(await encodeUser(account, own, key, { tags: [Account.tag(account)] }, options), own)
  )
}

/** Whether a text is that of a creds file. */
export const isCreds = (text: string): boolean => text.startsWith("-----BEGIN NATS USER JWT-----")

/** A new seed, which is secret. */
export const seed = (of: "operator" | "account"): string =>
  new TextDecoder().decode((of === "operator" ? createOperator() : createAccount()).getSeed())

/** The public key of a seed. */
export const publicOf = (seed: string): string => fromSeed(bytes(seed)).getPublicKey()

export const bytes = (seed: string): Uint8Array => new TextEncoder().encode(seed)
