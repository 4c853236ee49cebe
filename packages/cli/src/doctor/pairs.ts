import { Codes, Subject } from "@troupe/contract"
import { Mark, Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Consumers, Identity } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"

/** A service of the working directory, and the actors and subscribers of its code. */
export interface Known {
  readonly name: string
  readonly consumers: ReadonlySet<string>
}

/** Whether the database and the streams of each service belong together, and what nobody runs any more. */
export const pairs = (
  servers: { readonly natsUrl: Redacted.Redacted; readonly databaseUrl: Redacted.Redacted },
  services: ReadonlyArray<Known>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(
    Effect.forEach(services, (service) => {
      const url =
        ServiceDatabase.fromEnvironment(service.name) ?? ServiceDatabase.ofService(servers.databaseUrl, service.name)
      return Effect.scoped(ofService(service, servers.natsUrl, url)).pipe(
        Effect.timeout("20 seconds"),
        // A server or a database that is not there is told by its own check.
        Effect.orElseSucceed((): ReadonlyArray<Finding> => [])
      )
    }),
    (found) => found.flat()
  )

const ofService = ({ consumers, name }: Known, natsUrl: Redacted.Redacted, url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const postgres = yield* Layer.build(Sql.layer({ url, max: 1, applicationName: "troupe doctor" }))
    const sql = Context.get(postgres, Sql)
    const database = yield* Effect.tryPromise(() => Identity.read(sql))
    if (database === undefined) return []
    const nats = yield* Layer.build(Nats.layer({ url: natsUrl, name: "troupe doctor" }))
    const check = `identity of ${name}`
    const where = Settings.redacted(url)
    const foreign = Mark.foreign(yield* Effect.provideContext(Mark.read(name), nats), database.id)
    const pair =
      foreign !== undefined
        ? failed(check, foreign)
        : database.service !== undefined && database.service !== name
          ? failed(check, {
              message: Codes.text("TRP0512", where, `it is of ${database.service}, and this is ${name}`)
            })
          : ok(check, `database and streams belong together (${database.id})`)
    const stream = Subject.stream("cmd", name)
    const left = (yield* Effect.tryPromise(() => Consumers.unclaimed(sql, stream))).filter(
      (one) => !consumers.has(one.name)
    )
    return [
      pair,
      ...left.map((one) =>
        warn(
          `consumer ${one.name}`,
          `its code is gone, and nobody runs it: ${one.timers} timers, ${one.parked} parked messages, ${one.dead} dead letters`,
          `deploy it again, or see troupe consumers list and delete it with troupe consumers remove ${one.name}`
        )
      )
    ]
  })
