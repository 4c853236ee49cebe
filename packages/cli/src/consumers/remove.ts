import * as Print from "../Print.ts"
import { Subject, Text } from "@troupe/contract"
import { Mark, Nats } from "@troupe/nats"
import { Consumers } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { failure, reason } from "../Failure.ts"
import { asked, open, type Options } from "../identity/open.ts"
import { commandsOf, held, look, row, serviceOf } from "./look.ts"

/** Deletes what a consumer left, in Postgres and of its commands. */
export const remove = (options: Options & { readonly name: string; readonly yes: boolean }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { json, name, yes } = options
      const servers = yield* open(options)
      const service = yield* serviceOf(servers)
      const one = (yield* look(servers, service)).find((consumer) => consumer.name === name)
      if (one === undefined) return yield* failure("TRP0611", name, `${servers.where} has none of that name`)
      if (name === `${service}.outbox` || name === `${service}.unclaimed`)
        return yield* failure("TRP0612", name, "every service has one")
      if (one.hosts > 0) return yield* failure("TRP0612", name, `${one.hosts} living hosts run it`)
      // Another environment's streams have its commands, which are not ours to delete.
      const theirs = Mark.foreign(yield* Effect.provideContext(Mark.read(service), servers.nats), servers.database.id)
      if (theirs !== undefined) return yield* theirs
      const { commands } = row(one)
      const handled = Math.max(0, (yield* held(servers.nats, service, name)) - commands)
      const counts = yield* asked(servers.where, () => Consumers.counts(servers.sql, one.id))
      if (!yes) {
        const what = `${listed(counts)}; and ${commands + handled} commands (${commands} unread, ${handled} handled)`
        return yield* failure("TRP0612", name, `--yes is not said; it would delete ${what}`)
      }
      const rows = yield* asked(servers.where, () => Consumers.remove(servers.sql, one.id))
      if (rows === undefined) return yield* failure("TRP0612", name, "a living host runs it by now")
      // Commands that were read stay as the history of the service until they are purged; the actor is gone, so all go.
      const purged = yield* Effect.tryPromise({
        try: async () => {
          const { jsm } = await Context.get(servers.nats, Nats).api(Subject.stream("cmd", service))
          const filter = commandsOf(service, name, "*")
          return (await jsm.streams.purge(Subject.stream("cmd", service), { filter })).purged
        },
        catch: (cause) => failure("TRP0404", Subject.stream("cmd", service), reason(cause))
      })
      yield* Print.out(
        json
          ? JSON.stringify({ removed: name, rows, commands: purged, unread: commands })
          : `removed ${Text.line(name)}: ${listed(rows)}; and ${purged} commands (${commands} unread, ${Math.max(0, purged - commands)} handled)`
      )
    })
  )

/** `3 timer rows, 1 outbox row` */
const listed = (rows: Consumers.Removed): string => {
  const some = Object.entries(rows)
    .filter(([, n]) => n > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return some.length === 0
    ? "no rows"
    : some.map(([table, n]) => `${n} ${table} ${n === 1 ? "row" : "rows"}`).join(", ")
}
