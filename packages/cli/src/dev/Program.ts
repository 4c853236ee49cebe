import { resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as ChildProcess from "effect/process/ChildProcess"
import { failure, reason } from "../Failure.ts"
import * as Self from "../Self.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import { grace } from "./Child.ts"
import { exited, killOnExit } from "./Process.ts"
import type { Service } from "./Service.ts"

/** A program that is run against the services: what `--then` names. */
export interface Options {
  readonly file: string
  readonly json: boolean
  readonly natsUrl: Redacted.Redacted
  readonly services: ReadonlyArray<Service>
}

/**
 * Runs the program with our own stdout and stderr and answers its exit code, 1 when a signal ended it. It gets NATS_URL and
 * each service's database as ORDERS_DATABASE_URL.
 */
export const run = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const watch = yield* killOnExit
      const handle = yield* Effect.mapError(command(options), (cause) =>
        failure("TRP0103", options.file, reason(cause))
      )
      watch(handle.pid)
      const how = yield* exited(handle)
      return typeof how === "number" ? how : 1
    })
  )

const command = ({ file, json, natsUrl, services }: Options) =>
  ChildProcess.make(process.execPath, [...Self.nodeFlags(), resolve(file), ...(json ? ["--json"] : [])], {
    env: {
      NATS_URL: natsUrl,
      ...Object.fromEntries(
        services.flatMap(({ databaseUrl, name }) =>
          databaseUrl === undefined ? [] : [[ServiceDatabase.variableOf(name), databaseUrl]]
        )
      )
    },
    extendEnv: true,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    forceKillAfter: grace
  })
