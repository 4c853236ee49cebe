import { Subject } from "@troupe/contract"
import { Nats } from "@troupe/nats"
import { Consumers } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { failure, reason } from "../Failure.ts"
import { asked, type Servers } from "../identity/open.ts"

/** A consumer, and how many commands wait behind its cursors. */
export interface Seen extends Consumers.Consumer {
  readonly commands: number
}

/** The service of a database; fails where no host has started on it yet. */
export const serviceOf = ({ database, where }: Servers) =>
  database.service === undefined
    ? Effect.fail(failure("TRP0611", where, "no service has started on it yet"))
    : Effect.succeed(database.service)

/** Every consumer of the service, with its unread commands. */
export const look = (servers: Servers, service: string) =>
  Effect.gen(function* () {
    const stream = Subject.stream("cmd", service)
    const all = yield* asked(servers.where, () => Consumers.list(servers.sql, stream))
    return yield* Effect.forEach(all, (consumer) =>
      Effect.map(unread(servers.nats, service, consumer), (commands): Seen => ({ ...consumer, commands }))
    )
  })

/** Subjects of an actor's commands in one partition, or in all. */
export const commandsOf = (service: string, consumer: string, p: number | "*"): string =>
  `cmd.${service}.${p}.${consumer.slice(service.length + 1)}.>`

/** Commands behind the cursors of a consumer. */
const unread = (nats: Context.Context<Nats>, service: string, { cursors, name, partitions }: Consumers.Consumer) =>
  Effect.tryPromise({
    try: async () => {
      const { jsm } = await Context.get(nats, Nats).api(Subject.stream("cmd", service))
      const stream = Subject.stream("cmd", service)
      let sum = 0
      for (let p = 0; p < partitions; p++) {
        const filter = commandsOf(service, name, p)
        const seq = cursors.get(p) ?? 0
        const last = await jsm.streams.getMessage(stream, { last_by_subj: filter })
        if (last !== null && last.seq > seq) sum += await count(jsm, stream, filter, seq + 1)
      }
      return sum
    },
    catch: (cause) => failure("TRP0404", Subject.stream("cmd", service), reason(cause))
  })

/** All commands of a consumer that the stream has, handled or not. */
export const held = (nats: Context.Context<Nats>, service: string, name: string) =>
  Effect.tryPromise({
    try: async () => {
      const { jsm } = await Context.get(nats, Nats).api(Subject.stream("cmd", service))
      return await count(jsm, Subject.stream("cmd", service), commandsOf(service, name, "*"), 1)
    },
    catch: (cause) => failure("TRP0404", Subject.stream("cmd", service), reason(cause))
  })

/** Counted by the server: a consumer that is never read from says how much is behind its start. */
const count = async (jsm: Nats["Service"]["jsm"], stream: string, filter: string, from: number): Promise<number> => {
  const made = await jsm.consumers.add(stream, {
    filter_subject: filter,
    ack_policy: "none",
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    inactive_threshold: 5_000_000_000,
    mem_storage: true
  })
  await jsm.consumers.delete(stream, made.name)
  return made.num_pending
}

/** Without its internals, for programs. */
export const row = ({ commands, dead, hosts, name, parked, partitions, timers }: Seen) => ({
  name,
  partitions,
  hosts,
  timers,
  parked,
  dead,
  commands
})
