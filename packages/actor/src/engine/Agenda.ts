import { Reason } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { Commit, Waiting, Wishes } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { CommitLost } from "./Committer.ts"
import * as Gather from "./Gather.ts"
import type { Incoming } from "./Mailbox.ts"
import * as Parking from "./Parking.ts"
import * as Stored from "./Stored.ts"

/** Parked keys of which messages are read at once. */
const keysAtOnce = 20
/** ms after which Postgres is asked again how long a timer has: its clock may be set, and it is what counts. */
const trusted = 60_000

/** What waits in Postgres for one partition: of messages their keys are known here, of timers when the nearest is due. */
export interface Agenda {
  readonly policy: Parking.Policy
  /** Keys of which messages are parked. */
  readonly size: number
  readonly key: (token: string) => Parking.Key | undefined
  /** Something's time has come, or an operator wished something. */
  readonly isDue: () => boolean
  /** Has the ring ring when the time of something comes. Costs nothing as long as that time stays the same. */
  readonly arm: () => void
  /** Messages and timers whose time has come, a bounded part of them: those of a key in order. */
  readonly due: Effect.Effect<ReadonlyArray<Incoming>, CommitLost>
  readonly wishes: Effect.Effect<ReadonlyArray<Wishes.Wish>, CommitLost>
  /** What waits although its time has come, for as long as this is not said otherwise. A long line of a key does not. */
  readonly hold: (what: Held) => void
  /** What a commit changed of it. */
  readonly committed: (timers: ReadonlyArray<Commit.TimerRow>, changes: ReadonlyMap<string, Parking.Change>) => void
}

/** `all` are timers and parked messages. */
export type Held = "nothing" | "timers" | "all"

type Queries = {
  readonly parked: (wanted: {
    readonly cp: number
    readonly keys: ReadonlyArray<string>
  }) => Effect.Effect<ReadonlyArray<Waiting.ParkedRow>, CommitLost>
  readonly timers: (wanted: {
    readonly cp: number
    readonly held: ReadonlyArray<string>
  }) => Effect.Effect<ReadonlyArray<Waiting.TimerRow>, CommitLost>
  readonly wishes: Agenda["wishes"]
}

/** One per host: merges what its partitions want to know, and looks once a second whether something is wished. */
export class Agendas extends Context.Service<
  Agendas,
  {
    /** What waits for a partition that was just taken, until the scope ends. `ring` is called when something is due. */
    enter(
      partition: { readonly consumer: number; readonly p: number },
      ring: () => void
    ): Effect.Effect<Agenda, CommitLost, Scope.Scope>
  }
>()("@troupe/actor/Agendas") {
  static readonly layer = (options: Partial<Parking.Policy> = {}): Layer.Layer<Agendas, never, Sql> =>
    Layer.effect(
      Agendas,
      Effect.gen(function* () {
        const sql = yield* Sql
        const policy = { ...Parking.policy, ...options }
        const all = new Map<number, PartitionAgenda>()
        const gathered = <Item, Result>(run: (items: ReadonlyArray<Item>) => Promise<(item: Item) => Result>) =>
          Gather.make((items: ReadonlyArray<Item>) =>
            Effect.tryPromise({ try: () => run(items), catch: (cause) => new CommitLost({ cause }) }).pipe(
              Effect.match({
                onSuccess: (resultOf) => items.map((item) => Exit.succeed(resultOf(item))),
                onFailure: (error) => items.map(() => Exit.fail(error))
              })
            )
          )
        const left = yield* gathered(async (partitions: ReadonlyArray<number>) => {
          const { keys, timers } = await Waiting.enter(sql, partitions)
          return (cp) => ({ keys: keys.filter((key) => key.cp === cp), timer: timers.get(cp) })
        })
        const parked = yield* gathered(async (wanted: ReadonlyArray<Parameters<Queries["parked"]>[0]>) => {
          const rows = await Waiting.parked(
            sql,
            wanted.flatMap(({ cp, keys }) => keys.map((key) => ({ cp, key })))
          )
          return ({ cp }) => rows.filter((row) => row.cp === cp)
        })
        const timers = yield* gathered(async (wanted: ReadonlyArray<Parameters<Queries["timers"]>[0]>) => {
          const held = wanted.flatMap(({ cp, held }) => held.map((key) => ({ cp, key })))
          const rows = await Waiting.timers(
            sql,
            wanted.map(({ cp }) => cp),
            held
          )
          return ({ cp }) => rows.filter((row) => row.cp === cp)
        })

        yield* Effect.gen(function* () {
          if (all.size === 0) return
          const wished = yield* Effect.tryPromise(() => Wishes.wished(sql))
          for (const cp of wished) all.get(cp)?.wish()
        }).pipe(
          Effect.catch((error) => Effect.logDebug("could not look for wishes", Reason.chain(error))),
          Effect.repeat(Schedule.spaced("1 second")),
          Effect.forkScoped
        )

        return Agendas.of({
          enter: ({ consumer, p }, ring) =>
            Effect.gen(function* () {
              const cp = Commit.numbered({ consumer, p })
              const queries = {
                parked,
                timers,
                wishes: Effect.tryPromise({
                  try: () => Wishes.open(sql, consumer, p),
                  catch: (cause) => new CommitLost({ cause })
                })
              }
              const agenda = new PartitionAgenda({ cp, p, policy, queries, ring, ...(yield* left(cp)) })
              yield* Effect.acquireRelease(
                Effect.sync(() => all.set(cp, agenda)),
                () =>
                  Effect.sync(() => {
                    agenda.end()
                    if (all.get(cp) === agenda) all.delete(cp)
                  })
              )
              return agenda
            })
        })
      })
    )
}

interface Left {
  readonly cp: number
  readonly p: number
  readonly policy: Parking.Policy
  readonly queries: Queries
  readonly ring: () => void
  readonly keys: ReadonlyArray<Waiting.ParkedKey>
  readonly timer: number | undefined
}

/** Times are ms of this process. */
class PartitionAgenda implements Agenda {
  readonly policy: Parking.Policy
  private readonly from: Left
  private readonly keys = new Map<string, { readonly key: Parking.Key; readonly due: number }>()
  /** The nearest timer, or when to ask for it. */
  private timer: number
  private wished = false
  private held: Held = "nothing"
  /** The first of all of this. */
  private nearest = 0
  private alarm: { readonly at: number; readonly timeout: NodeJS.Timeout | undefined } = {
    at: Infinity,
    timeout: undefined
  }

  constructor(from: Left) {
    this.policy = from.policy
    this.from = from
    const now = performance.now()
    for (const { bytes, count, delay, head, key, next } of from.keys) {
      this.keys.set(key, { key: { head, next, count, bytes }, due: delay === null ? Infinity : now + delay })
    }
    this.timer = from.timer === undefined ? Infinity : now + Math.min(from.timer, trusted)
    this.look()
  }

  get size(): number {
    return this.keys.size
  }
  readonly key = (token: string): Parking.Key | undefined => this.keys.get(token)?.key
  readonly isDue = (): boolean => this.nearest !== Infinity && this.nearest <= performance.now()

  readonly arm = (): void => {
    const { nearest } = this
    if (nearest === this.alarm.at) return
    this.end()
    if (nearest === Infinity) return
    const timeout = setTimeout(
      () => {
        this.alarm = { at: Infinity, timeout: undefined }
        this.from.ring()
      },
      Math.max(0, nearest - performance.now())
    )
    this.alarm = { at: nearest, timeout }
  }
  end(): void {
    clearTimeout(this.alarm.timeout)
    this.alarm = { at: Infinity, timeout: undefined }
  }

  wish(): void {
    this.wished = true
    this.look()
    this.from.ring()
  }
  readonly wishes = Effect.suspend(() => {
    if (!this.wished) return Effect.succeed([])
    this.wished = false
    return Effect.map(this.from.queries.wishes, (wishes) => {
      // Perhaps there are more.
      this.wished = wishes.length > 0
      this.look()
      return wishes
    })
  })

  readonly due = Effect.suspend(() => {
    const now = performance.now()
    const keys = [...this.keys].filter(([, { due, key }]) => due <= now && !this.isHeld(key))
    const wanted = keys
      .sort(([, one], [, other]) => one.due - other.due)
      .slice(0, keysAtOnce)
      .map(([token]) => token)
    return Effect.gen({ self: this }, function* () {
      const parked =
        wanted.length === 0
          ? []
          : this.first(wanted, yield* this.from.queries.parked({ cp: this.from.cp, keys: wanted }))
      const timers = this.timer > now || this.held !== "nothing" ? [] : yield* this.fired()
      this.look()
      return [...parked, ...timers]
    })
  })

  /** Of each key the messages in front of one that was given up and holds it up. */
  private first(wanted: ReadonlyArray<string>, rows: ReadonlyArray<Waiting.ParkedRow>): ReadonlyArray<Incoming> {
    const byKey = Map.groupBy(rows, ({ key }) => key)
    // The first one's messages fit in any case: none are there, whoever deleted them.
    if (!byKey.has(wanted[0]!)) this.keys.delete(wanted[0]!)
    return [...byKey].flatMap(([token, rows]) => {
      const end = rows.findIndex(({ blocks }) => blocks)
      if (end === 0) this.keys.set(token, { ...this.keys.get(token)!, due: Infinity })
      return (end < 0 ? rows : rows.slice(0, end)).map(Stored.parked)
    })
  }

  /** Timers of parked keys wait until nothing of their key is parked any more. */
  private fired() {
    const { cp, p, queries } = this.from
    return Effect.map(queries.timers({ cp, held: [...this.keys.keys()] }), (rows) => {
      const now = performance.now()
      const due = rows.filter(({ left }) => left <= 0)
      const next = rows.find(({ left }) => left > 0)
      // Once these have fired, it is asked again.
      this.timer = due.length > 0 ? now : next === undefined ? Infinity : now + Math.min(next.left, trusted)
      return due.map((row) => Stored.timer(row, p))
    })
  }

  readonly hold = (what: Held): void => {
    this.held = what
    this.look()
    this.from.ring()
  }
  /** What comes meanwhile gets in line behind it, and there must be room. */
  private isHeld({ bytes, count }: Parking.Key): boolean {
    return this.held === "all" && 2 * count < this.policy.messages && 2 * bytes < this.policy.bytes
  }

  readonly committed: Agenda["committed"] = (timers, changes) => {
    if (timers.length === 0 && changes.size === 0) return
    const now = performance.now()
    for (const { delay } of timers) this.timer = Math.min(this.timer, now + Math.min(delay, trusted))
    for (const [token, { delay, key }] of changes) {
      if (key === undefined) {
        this.keys.delete(token)
        // Its timers have waited for this.
        this.timer = now
      } else {
        const before = this.keys.get(token)?.due ?? now
        this.keys.set(token, { key, due: delay === undefined ? before : delay === null ? Infinity : now + delay })
      }
    }
    this.look()
  }

  private look(): void {
    let nearest = this.wished ? 0 : this.held === "nothing" ? this.timer : Infinity
    for (const { due, key } of this.keys.values()) if (!this.isHeld(key)) nearest = Math.min(nearest, due)
    this.nearest = nearest
  }
}
