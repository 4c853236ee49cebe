import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Accounts, deno, json, nats, type Policy, sql } from "@troupe/permissions"

/** What is committed, below the working directory. */
export const folder = "infra/policy"

export type Format = (typeof formats)[number]
const formats = ["nats", "jwt", "sql", "deno"] as const

/** The text of each format, without keys: one file for all users or accounts of NATS, one per service for the rest. */
export const rendered = (format: Format, policies: ReadonlyArray<Policy.Policy>): ReadonlyMap<string, string> => {
  if (format === "nats") return new Map([["nats.conf", nats(policies)]])
  if (format === "jwt") return new Map([["accounts.json", json(Accounts.make(policies))]])
  const render = { sql, deno }[format]
  return new Map(
    policies.filter(({ kind }) => kind === "service").map((policy) => [`${policy.name}.${format}`, render(policy)])
  )
}

/** All files of a committed policy. */
export const all = (policies: ReadonlyArray<Policy.Policy>): ReadonlyMap<string, string> =>
  new Map(formats.flatMap((format) => [...rendered(format, policies)]))

/** Writes the files; with `alone` it removes those of a policy that are not among them: of services that are no more. */
export const write = async (files: ReadonlyMap<string, string>, alone: boolean): Promise<void> => {
  await mkdir(folder, { recursive: true })
  if (alone) for (const name of await names()) if (!files.has(name)) await rm(join(folder, name))
  for (const [name, text] of files) await writeFile(join(folder, name), text)
}

/** What is committed, by name; empty when there is no such folder. */
export const committed = async (): Promise<ReadonlyMap<string, string>> =>
  new Map(
    await Promise.all((await names()).map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const))
  )

/** The files there that a policy has; whatever else lies beside them is somebody's own. */
const names = async (): Promise<ReadonlyArray<string>> =>
  (await readdir(folder).catch(() => []))
    .filter((name) => /^nats\.conf$|^accounts\.json$|\.(?:sql|deno)$/.test(name))
    .sort()
