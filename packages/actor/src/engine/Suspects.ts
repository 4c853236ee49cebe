import { Subject } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { type Commit, Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import type { Failure } from "./Attempt.ts"
import type { Options } from "./Batch.ts"
import { CommitLost } from "./Committer.ts"
import type { Consumer } from "./Consumer.ts"
import * as Culprit from "./Culprit.ts"
import { type Incoming, isMessage, type Item } from "./Mailbox.ts"

/** Number of hosts or connections that must end while a message runs alone before the message is given up. */
const strikes = 2

/** With so many messages of a key given up for ending hosts, the key itself waits for an operator: its state may be what does it. */
const deadly = 3

/** Maximum number of items in the first batch after a take-over. Each further batch may have twice as many. */
const first = { afterDeath: 1, else: 32 }

/** From this size on a batch is no longer limited: by then more than a mailbox holds was run with care. */
const unlimited = 2_048

/** The part of a partition's items that runs next. */
export interface Portion {
  readonly now: ReadonlyArray<Item>
  /** What runs after it, in order. Without what waits in Postgres: that is still due. */
  readonly later: ReadonlyArray<Item>
  /** True for a suspect: it runs while no other message of this process does. */
  readonly alone: boolean
  /** It is given up without being run. */
  readonly condemned: Failure | undefined
}

/** How a partition was taken. */
export type Taken = Pick<Ownership.Taken, "died" | "fence" | "suspects">

/**
 * Careful batches after a take-over. When the owner before died, one of the messages that it had read may have killed it:
 * batches begin with one message and double, and what a batch holds is noted in Postgres before it runs, so that the next
 * death is blamed on few. Messages that are suspected run alone; after two deaths alone they are given up. So are those
 * whose statements end the connection: see `Lost`.
 */
export class Suspects {
  private readonly consumer: Consumer
  private readonly fence: Commit.Fence
  private readonly found: Map<string, number>
  /** Batches are noted: the owner before died, and the limit still grows. */
  private careful: boolean
  private limit: number
  /** What is noted in Postgres. */
  private noted: ReadonlyArray<string> = []

  constructor(consumer: Consumer, { died, fence, suspects }: Taken) {
    this.consumer = consumer
    this.fence = fence
    this.found = new Map(suspects)
    // Handlers of an edge run in no process of ours: only what reads a message may end one, and the watch notes that.
    this.careful = died && !("edge" in consumer.part)
    this.limit = died ? first.afterDeath : first.else
  }

  /** What of the items runs now: a suspect alone, or as many others as the limit allows. */
  portion(items: ReadonlyArray<Item>): Portion {
    const whole = { now: items, later: [], alone: false, condemned: undefined }
    if (this.limit >= unlimited && this.found.size === 0) return whole
    const suspected = items.findIndex((item) => isMessage(item) && this.found.has(Culprit.idOf(item)))
    const alone = suspected === 0
    const count = alone ? 1 : Math.min(this.limit, suspected < 0 ? items.length : suspected)
    if (!alone && count >= items.length) return whole
    const [item] = items
    return {
      now: items.slice(0, count),
      later: items.slice(count).filter((item) => !isMessage(item) || item.waited === undefined),
      alone,
      condemned: alone && isMessage(item!) ? this.verdict(Culprit.idOf(item)) : undefined
    }
  }

  /** Why the message of a portion is given up, if it is, and whether its key waits from then on. */
  judged({ condemned, now }: Portion): Effect.Effect<Options["condemned"], CommitLost, Sql> {
    if (condemned === undefined) return Effect.undefined
    const { consumer, p } = this.fence
    const key = Subject.parse((now[0] as Incoming).message.subject)?.key ?? ""
    return Effect.flatMap(Sql, (sql) =>
      Effect.tryPromise({
        try: async () => {
          const before = await sql`select from troupe.dead where consumer = ${consumer} and p = ${p} and key = ${key}
            and code = ${condemned.code} limit ${deadly}`
          return { ...condemned, blocks: before.length + 1 >= deadly }
        },
        catch: (cause) => new CommitLost({ cause })
      })
    )
  }

  /** Notes a portion before it runs, if it has to be noted, and forgets the one before. */
  note({ alone, condemned, now }: Portion): Effect.Effect<void, CommitLost, Sql> {
    const running =
      condemned === undefined && (alone || this.careful)
        ? now.filter(isMessage).map((incoming) => Culprit.runningOf(this.consumer, incoming))
        : []
    if (running.length === 0 && this.noted.length === 0) return Effect.void
    const done = this.noted
    this.noted = running.map(({ id }) => id)
    return Effect.flatMap(Sql, (sql) =>
      Effect.tryPromise({
        try: () => Ownership.suspectsOf(sql, this.fence, done, running, alone),
        catch: (cause) => new CommitLost({ cause })
      })
    ).pipe(
      Effect.filterOrFail(
        (ours) => ours,
        () => new CommitLost({ cause: new Error(`partition ${this.fence.p} has another owner`) })
      ),
      Effect.asVoid
    )
  }

  /** A portion was committed: what it held is no longer suspected, and the next one may be larger. */
  ended({ alone, now }: Portion): void {
    if (alone) {
      const [item] = now
      const id = Culprit.idOf(item as Parameters<typeof Culprit.idOf>[0])
      this.found.delete(id)
      // Its row goes with the next note, also when this one only found it.
      if (!this.noted.includes(id)) this.noted = [...this.noted, id]
      return
    }
    if (this.limit >= unlimited) return
    this.limit *= 2
    if (this.limit >= unlimited) this.careful = false
  }

  /** True while Postgres holds notes of messages that have run: the owner deletes them once it has no other work. */
  get leftovers(): boolean {
    return this.noted.length > 0
  }

  /** A suspect, for people: its type, key and id. */
  nameOf(incoming: Incoming): string {
    const { id, what } = Culprit.runningOf(this.consumer, incoming)
    return `${what}, id ${id}`
  }

  /** Why it is suspected. */
  why(incoming: Incoming): string {
    const times = this.found.get(Culprit.idOf(incoming)) ?? 0
    return times === 0 ? "it was one of those that ran" : alone(times)
  }

  private verdict(id: string): Failure | undefined {
    const times = this.found.get(id) ?? 0
    return times < strikes ? undefined : { code: "TRP0302", reason: alone(times) }
  }
}

/** Strikes are no hosts: the watch of the event loop may give two at once. */
const alone = (times: number): string =>
  `its host, or its connection to PostgreSQL, ended while it alone ran: ${times} ${times === 1 ? "strike" : "strikes"}, and an end by the watch of the event loop may count as two`
