import { Envelope, Reason } from "@troupe/contract"
import { History, type Message, Nats, type Position } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Consumer } from "./Consumer.ts"
import type { Mailbox } from "./Mailbox.ts"
import type { Progress } from "./Progress.ts"

/** Takes the headers of all commands of a stream. */
export type Into = (message: Message.Message, position: Position.Position) => Promise<void> | undefined

/** So many messages are looked at in one go, and then there is a pause, ms: a backlog takes no more than a little of the host. */
const pace = { messages: 1_000, pause: 250 }
/** How often the position is committed while there is nothing to refuse. */
const interval = "5 seconds"

/**
 * Finds commands for actors that the service does not have: no lane of an actor has them, so nobody reads them. It reads
 * the headers of all commands, one host for the whole service, and hands on only what is for no actor that is registered:
 * that is fetched whole, refused or kept as a dead letter like any command that cannot be handled, and then deleted from
 * the stream, so that an actor of this name that comes later does not handle it after all. What a newer contract sends
 * stays in the stream for the actor to come, which reads the stream from its beginning, and is told.
 */
export const make = (
  progress: Progress<Consumer>,
  claimed: ReadonlySet<string>,
  stream: string,
  mailbox: Mailbox
): Effect.Effect<Into, never, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const { consumer } = progress
    const { api } = yield* Nats
    const sql = yield* Sql
    const run = Effect.runForkWith(yield* Effect.context<never>())
    let refused: ReadonlyArray<History.Place> = []
    let inherited = false
    let passed: Position.Position | undefined
    let count = 0

    /** Also of another host's newer code, and of an actor that was removed: until an operator removes it too. */
    const isRegistered = async (actor: string): Promise<boolean> => {
      const rows = await sql`select from troupe.consumer where name = ${`${consumer.service}.${actor}`}`
      return rows.length > 0
    }
    const fetched = async (seq: number, time: number): Promise<Message.Message | undefined> => {
      const { jsm } = await api(stream)
      const found = await jsm.streams.getMessage(stream, { seq })
      if (found === null) return undefined
      const headers = new Map<string, string>()
      for (const [name, [value = ""]] of found.header) headers.set(name, value)
      return { seq, subject: found.subject, headers, data: found.data, time }
    }
    const newer = (actor: string, contract: number): void => {
      progress.notice = `commands of contract ${contract} for ${consumer.service}.${actor} wait in ${stream} until code comes that has it`
      void run(Effect.logWarning(progress.notice))
    }
    const look = async (actor: string, message: Message.Message, position: Position.Position): Promise<void> => {
      if (await isRegistered(actor)) return void (passed = position)
      const envelope = Envelope.fromHeaders((name) => message.headers.get(name))
      const contract = "why" in envelope ? 1 : (envelope.contract ?? 1)
      if (contract > consumer.contract) newer(actor, contract)
      const whole = contract > consumer.contract ? undefined : await fetched(message.seq, message.time)
      if (whole === undefined) return void (passed = position)
      // The cursor goes where the last item says.
      passed = undefined
      refused = [...refused, { stream, sequence: message.seq, id: message.headers.get("ce-id") ?? "" }]
      await mailbox.offer({ stream, message: whole, position })
    }

    /** What the owner before had refused, and may not have deleted. */
    const inherit = Effect.tryPromise(async () => {
      const rows = await sql`select sequence, message_id from troupe.dead
        where consumer = ${consumer.id} and stream = ${stream} and sequence > 0 order by id desc limit ${pace.messages}`
      const places = rows.map((row) => ({ stream, sequence: Number(row["sequence"]), id: row["message_id"] ?? "" }))
      refused = [...places, ...refused]
      inherited = true
    })

    yield* Effect.gen(function* () {
      if (!inherited) yield* inherit
      const { seq: committed = 0 } = progress.cursors[stream] ?? {}
      if (passed !== undefined && passed.seq > committed) void mailbox.offer({ stream, position: passed })
      passed = undefined
      const done = refused.filter(({ sequence }) => sequence <= committed)
      yield* History.forget(done)
      refused = refused.filter((place) => !done.includes(place))
    }).pipe(
      Effect.catch((error) =>
        Effect.logWarning(`could not delete refused commands from ${stream}`, Reason.chain(error))
      ),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.forkScoped
    )
    return (message, position) => {
      const actor = message.subject.split(".", 4)[3] ?? ""
      if (!claimed.has(actor)) return look(actor, message, position)
      passed = position
      return ++count % pace.messages === 0 ? new Promise((resolve) => setTimeout(resolve, pace.pause)) : undefined
    }
  })
