import { Mark } from "@troupe/nats"
import * as Effect from "effect/Effect"
import { foreign } from "../identity/locate.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import type { Database } from "./databases.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import type { Broker } from "./nats.ts"
import { internals } from "./services.ts"

/** Whether databases and streams belong together, and what nobody runs any more. What could not be compared is said too. */
export const pairs = (databases: ReadonlyArray<Database>, broker: Broker | undefined) =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(databases, (database) =>
      Effect.map(pair(database, broker), (finding): ReadonlyArray<Finding> => [finding, ...removed(database)])
    )
    const left = (broker?.services ?? []).filter((name) => !databases.some(({ service }) => service === name))
    return [...found.flat(), ...(left.length === 0 ? [] : [alone(left)])]
  })

const pair = ({ identity, service, where }: Database, broker: Broker | undefined) =>
  Effect.gen(function* () {
    const check = `identity of ${service}`
    const wrong = foreign(identity, service, where)
    if (wrong !== undefined) return failed(check, { message: wrong })
    if (broker === undefined)
      return warn(check, `${where} is not compared with streams: there is no NATS to ask`, "set NATS_URL to its server")
    const marked = yield* Effect.provideContext(Mark.read(service), broker.context)
    const theirs = Mark.foreign(marked, identity.id)
    if (theirs !== undefined) return failed(check, theirs)
    return ok(
      check,
      marked.length === 0
        ? `database ${identity.id}; no streams are there yet`
        : `database and streams belong together (${identity.id})`
    )
  })

/** Services that have streams, and no database among those that were looked at. */
const alone = (services: ReadonlyArray<string>): Finding =>
  warn(
    "identity",
    `the streams of ${services.join(", ")} are not compared with a database: no database that was read is theirs`,
    `set DATABASE_URL to it, or ${services.slice(0, 3).map(ServiceDatabase.variableOf).join(", ")}`
  )

/** Consumers whose code is gone; without the code, those that no host runs while others are run. */
const removed = ({ code, consumers, service }: Database): ReadonlyArray<Finding> => {
  const own = consumers.filter(({ name }) => !internals(service).includes(name))
  const idle = own.filter(({ hosts, name }) => hosts === 0 && code?.has(name) !== true)
  if (code === undefined && own.length > 0 && consumers.every(({ hosts }) => hosts === 0))
    return [
      warn(
        `consumers of ${service}`,
        "whether their code is gone is not known: it is not here, and no host of the service runs",
        "name its file: troupe doctor FILE"
      )
    ]
  const gone =
    code === undefined
      ? "no living host runs it, though hosts of its service run"
      : "its code is gone, and nobody runs it"
  return idle.map((one) =>
    warn(
      `consumer ${one.name}`,
      `${gone}: ${one.timers} timers, ${one.parked} parked messages, ${one.dead} dead letters`,
      `deploy it again, or see troupe consumers list and delete it with troupe consumers remove ${one.name}`
    )
  )
}
