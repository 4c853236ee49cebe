import { Nats } from "@troupe/nats"
import { Migrations } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { database, query } from "./database.ts"

/** A service of its own on the shared servers, without a host: its streams, and two actors in its database. */
export const place = Effect.gen(function* () {
  const { name, url } = yield* database
  const service = name.replaceAll("_", "-")
  yield* Migrations.run({ url })
  const natsUrl = Redacted.make(process.env["NATS_URL"] ?? "NATS_URL is not set")
  const { js, jsm } = Context.get(yield* Layer.build(Nats.layer({ url: natsUrl })), Nats)
  for (const kind of ["cmd", "evt"])
    yield* Effect.acquireRelease(
      Effect.promise(() =>
        jsm.streams.add({
          name: `${kind.toUpperCase()}_${service}`,
          subjects: [`${kind}.${service}.*.*.*`],
          subject_transform: {
            src: `${kind}.${service}.*.*.*`,
            dest: `${kind}.${service}.{{partition(16,3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}`
          }
        })
      ),
      () => Effect.promise(() => jsm.streams.delete(`${kind.toUpperCase()}_${service}`))
    )
  yield* query(url, `update troupe.identity set service = '${service}'`)
  const say = (actor: string, key: string) =>
    Effect.promise(() => js.publish(`cmd.${service}.${actor}.do.${key}`, "{}"))
  const env = { DATABASE_URL: Redacted.value(url), NATS_URL: process.env["NATS_URL"] }
  return { service, url, natsUrl, jsm, say, env }
})
