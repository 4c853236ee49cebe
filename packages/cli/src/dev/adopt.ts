import { Mark, Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Identity } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { asked } from "../identity/open.ts"
import * as Settings from "../Settings.ts"

/**
 * A development database may be made anew while the streams of a NATS_URL stay: those that were another development
 * database's are given to this one. Streams of any other database are left to the host, which refuses them.
 */
export const adopt = (service: string, databaseUrl: Redacted.Redacted, natsUrl: Redacted.Redacted) =>
  Effect.scoped(
    Effect.gen(function* () {
      const where = Settings.redacted(databaseUrl)
      const postgres = yield* Layer.build(Sql.layer({ url: databaseUrl, max: 1, applicationName: "troupe dev" }))
      const sql = Context.get(postgres, Sql)
      yield* asked(where, () => Identity.develop(sql))
      const database = yield* asked(where, () => Identity.read(sql))
      if (database?.development !== true) return
      // As the service itself, which may hear no other inbox.
      const inboxPrefix = `_INBOX.${service}`
      const nats = yield* Layer.build(Nats.layer({ url: natsUrl, name: "troupe dev", inboxPrefix }))
      const theirs = yield* Effect.provideContext(Mark.read(service), nats)
      for (const { mark, stream } of theirs)
        if (mark?.development === true && mark.id !== database.id)
          yield* Effect.provideContext(Mark.set(stream, { id: database.id, development: true }), nats)
    })
  )
