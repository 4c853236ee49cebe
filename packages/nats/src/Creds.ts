import { readFileSync } from "node:fs"
import { Account } from "@troupe/contract"

/** Credentials in a file that somebody renews. */
export interface Creds {
  /** What the file says now; what it said before while it is not there, or half written. */
  readonly read: () => Uint8Array
  /** Of what was read last. */
  readonly user: () => Account.User
}

/** Throws when the file cannot be read, or is no creds file. */
export const open = (file: string): Creds => {
  let known = readFileSync(file, "utf8")
  if (!isWhole(known)) throw new Error("it has no JWT and seed of a NATS user")
  return {
    read: () => {
      known = renewed(file) ?? known
      return new TextEncoder().encode(known)
    },
    user: () => Account.userOf(known)
  }
}

const renewed = (file: string): string | undefined => {
  try {
    const text = readFileSync(file, "utf8")
    return isWhole(text) ? text : undefined
  } catch {
    return undefined
  }
}

const isWhole = (text: string): boolean => /-END NATS USER JWT-[^]*-END USER NKEY SEED-/.test(text)
