import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { deno, nats, type Policy, sql } from "@troupe/permissions"

/** What is committed, below the working directory. */
export const folder = "infra/policy"

/** The text of each format: one file for all users of NATS, one per service for the rest. */
export const rendered = (
  format: "nats" | "sql" | "deno",
  policies: ReadonlyArray<Policy.Policy>
): ReadonlyMap<string, string> => {
  if (format === "nats") return new Map([["nats.conf", nats(policies)]])
  const render = { sql, deno }[format]
  return new Map(
    policies.filter(({ kind }) => kind === "service").map((policy) => [`${policy.name}.${format}`, render(policy)])
  )
}

/** All files of a committed policy. */
export const all = (policies: ReadonlyArray<Policy.Policy>): ReadonlyMap<string, string> =>
  new Map((["nats", "sql", "deno"] as const).flatMap((format) => [...rendered(format, policies)]))

export const write = async (files: ReadonlyMap<string, string>): Promise<void> => {
  await mkdir(folder, { recursive: true })
  for (const [name, text] of files) await writeFile(join(folder, name), text)
}

/** What is committed, by name; empty when there is no such folder. */
export const committed = async (): Promise<ReadonlyMap<string, string>> => {
  const names = (await readdir(folder).catch(() => [])).sort()
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const))
  )
}
