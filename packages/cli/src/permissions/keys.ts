import { mkdir, open, readFile, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import { type AccountKeys, Credentials, type Keys, operatorJwt } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import { type Failure, failure, reason } from "../Failure.ts"

/** Who may use what a key signs. */
export type Role = "program" | "operator"

/**
 * The keys of a folder; those that are missing are made, readable by their owner only. Whoever has all of it may do
 * everything; to issue users of `orders` take `orders/account.pub` and `orders/program.nk`.
 */
export const ensure = (folder: string, names: ReadonlyArray<string>): Effect.Effect<Keys, Failure> =>
  Effect.tryPromise({
    try: async () => {
      const had = (name: string, of: "operator" | "account") => kept(join(folder, name), () => Credentials.seed(of))
      const accounts = new Map<string, AccountKeys>()
      for (const name of names) {
        const account = await had(`${name}/account.nk`, "account")
        await kept(join(folder, name, "account.pub"), () => Credentials.publicOf(account))
        accounts.set(name, {
          account,
          program: await had(`${name}/program.nk`, "account"),
          operator: await had(`${name}/operator.nk`, "account"),
          revoked: Number((await text(join(folder, name, "revoked"))) ?? 0)
        })
      }
      const operator = await had("operator.nk", "operator")
      const system = await had("system.nk", "account")
      const jwt = await kept(join(folder, "operator.jwt"), () => operatorJwt(operator, system))
      return { operator, operatorJwt: jwt, system, accounts }
    },
    catch: (cause) => failure("TRP0026", folder, reason(cause))
  })

/** What it takes to issue users of an account. TRP0607 when the folder has not got it. */
export const issuer = (
  folder: string,
  name: string,
  role: Role
): Effect.Effect<{ readonly key: string; readonly signer: string }, Failure> =>
  Effect.gen(function* () {
    const [key, signer] = yield* Effect.promise(() =>
      Promise.all([text(join(folder, name, "account.pub")), text(join(folder, name, `${role}.nk`))])
    )
    if (key !== undefined && signer !== undefined) return { key, signer }
    return yield* failure("TRP0607", name, `${folder} has no ${name}/account.pub and ${name}/${role}.nk`)
  })

/** A secret is written in one piece: who reads it meanwhile has the old one, or the new one. */
export const replace = async (file: string, secret: string): Promise<void> => {
  const fresh = `${file}.${process.pid}`
  await write(fresh, secret)
  await rename(fresh, file)
}

const kept = async (file: string, make: () => string | Promise<string>): Promise<string> => {
  const there = await text(file)
  if (there !== undefined) return there
  const made = await make()
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await write(file, made)
  return made
}

const write = async (file: string, secret: string): Promise<void> => {
  const handle = await open(file, "wx", 0o600)
  await handle.writeFile(secret).finally(() => handle.close())
}

const text = async (file: string): Promise<string | undefined> => {
  try {
    return (await readFile(file, "utf8")).trim()
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined
    throw cause
  }
}
