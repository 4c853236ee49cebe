import { link, mkdir, open, readFile, rm } from "node:fs/promises"
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
          revoked: await revokedOf(join(folder, name, "revoked"))
        })
      }
      const operator = await had("operator.nk", "operator")
      const system = await had("system.nk", "account")
      const jwt = await kept(join(folder, "operator.jwt"), () => operatorJwt(operator, system))
      return { operator, operatorJwt: jwt, system, accounts }
    },
    // What the system refuses has to do with the folder, all else with what is in it.
    catch: (cause) =>
      failure(cause instanceof Error && "syscall" in cause ? "TRP0026" : "TRP0607", folder, reason(cause))
  })

/** What it takes to issue users of an account. TRP0607 when the folder has not got it. */
export const issuer = (
  folder: string,
  name: string,
  role: Role
): Effect.Effect<{ readonly key: string; readonly signer: string }, Failure> =>
  Effect.gen(function* () {
    const [key, signer] = yield* Effect.tryPromise({
      try: () => Promise.all([text(join(folder, name, "account.pub")), text(join(folder, name, `${role}.nk`))]),
      catch: (cause) => failure("TRP0607", name, reason(cause))
    })
    if (key !== undefined && signer !== undefined) return { key, signer }
    return yield* failure("TRP0607", name, `${folder} has no ${name}/account.pub and ${name}/${role}.nk`)
  })

/** What a file says, made first where there is none. It comes in one piece, and of two who make it at a time both take the first one's. */
const kept = async (file: string, make: () => string | Promise<string>): Promise<string> => {
  const there = await text(file)
  if (there !== undefined) return there
  const fresh = `${file}.${process.pid}`
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await write(fresh, await make())
  await link(fresh, file)
    .catch((cause: unknown) => {
      if (!isCode(cause, "EEXIST")) throw cause
    })
    .finally(() => rm(fresh))
  return (await text(file)) ?? ""
}

/** A text that is no time would revoke nobody. */
const revokedOf = async (file: string): Promise<number> => {
  const said = (await text(file)) ?? "0"
  if (/^[0-9]{1,12}$/.test(said)) return Number(said)
  throw new TypeError(`${file} says ${JSON.stringify(said.slice(0, 40))}, which is no time in seconds since 1970`)
}

const write = async (file: string, secret: string): Promise<void> => {
  const handle = await open(file, "wx", 0o600)
  await handle.writeFile(secret).finally(() => handle.close())
}

const text = async (file: string): Promise<string | undefined> => {
  const said = await readFile(file, "utf8").catch((cause: unknown) => {
    if (isCode(cause, "ENOENT")) return undefined
    throw cause
  })
  if (said?.trim() === "") throw new TypeError(`${file} is empty`)
  return said?.trim()
}

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code
