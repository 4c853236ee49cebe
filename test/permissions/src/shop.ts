import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { assert } from "@effect/vitest"
import { Migrations } from "@troupe/postgres"
import { connected, until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Guarded from "./guarded.ts"

export const services = ["orders", "payments", "shipping"] as const
export const admin = process.env["DATABASE_URL"] ?? "DATABASE_URL is not set"
export const run = `w${process.pid}`

/** The service's database, migrated, and its url as the role that owns it; dropped at the end. */
export const database = (service: string) =>
  Effect.gen(function* () {
    const server = yield* connected(admin)
    const name = `${run}_${service}`
    yield* Effect.acquireRelease(
      Effect.promise(() => server.unsafe(`create database ${name}`)),
      () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
    )
    const { href: url } = Object.assign(new URL(admin), { pathname: `/${name}` })
    const folder = `${Guarded.root}services/${service}/migrations`
    yield* Migrations.run({ url: Redacted.make(url), folder: existsSync(folder) ? folder : undefined })
    return { owner: yield* connected(url), url }
  })

/** `troupe run`, until the scope ends; done when it is ready. */
export const host = (service: string, env: Record<string, string>) =>
  Effect.gen(function* () {
    const main = `${Guarded.root}packages/cli/src/main.ts`
    const args = ["--conditions=@troupe/source", main, "run", `services/${service}/src/main.ts`]
    let said = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, args, { cwd: Guarded.root, env: { ...process.env, ...env } })),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null) return resume(Effect.void)
          child.once("close", () => resume(Effect.void))
          child.kill("SIGTERM")
        })
    )
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (said += text))
    yield* until(
      async () => ({ said, code: child.exitCode }),
      ({ code, said }) => code !== null || / is ready: /.test(said)
    )
    assert.match(said, / is ready: /)
    return () => said
  })
