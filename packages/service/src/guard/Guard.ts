import type { Worker } from "node:worker_threads"
import type { Board, LastWords } from "@troupe/actor/engine"
import type * as Context from "effect/Context"
import { Codes, Reason } from "@troupe/contract"
import { Guard as Beside, type Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** The host is not one of the living. */
export class NotLiving extends Schema.TaggedError<NotLiving>()("NotLiving", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

export interface Options {
  /** Shown where the thread ends the process. */
  readonly name: string
  readonly databaseUrl: Redacted.Redacted
  /** Between heartbeats, in ms. */
  readonly heartbeat: number
  /** How long a heartbeat counts, in ms. */
  readonly lease: number
  readonly bounds: Beside.Bounds
  /** The line that tells of the end is JSON. */
  readonly json?: boolean
}

/**
 * A thread beside the event loop, with a connection to Postgres of its own. It keeps the host among the living while the
 * loop computes, and ends the process when the loop stands still for too long.
 */
export interface Guard {
  readonly lease: Beside.Memory.Lease
  readonly board: Board
  readonly lastWords: Context.Service.Shape<typeof LastWords>
  /** Joins the living, or joins again: the lease begins. What the thread held before is over. `names`: of its consumers. */
  readonly join: (host: Ownership.Host, names?: Beside.Thread.Names) => Effect.Effect<void, NotLiving>
  /** Tells the other hosts whether this one can work, with the next heartbeat. */
  readonly able: (able: boolean) => void
  /** Why the lease is over, if the thread ended it. */
  readonly why: () => string | undefined
  /** Called when the lease is over by what the thread knows. */
  onOver: () => void
}

/** How long, in ms, the thread has to answer, beside what the database takes: one that does not is replaced. */
const patience = 10_000
const lastWordsWithin = 2_000

/** Starts the thread; it ends with the scope. */
export const make = (options: Options): Effect.Effect<Guard, never, Scope.Scope> =>
  Effect.gen(function* () {
    const memory = Beside.Memory.make()
    const lease = Beside.Memory.lease(memory, options.lease)
    const given: Beside.Thread.Given = {
      memory,
      url: Redacted.value(options.databaseUrl),
      heartbeat: options.heartbeat,
      bounds: options.bounds,
      line: Codes.text("TRP0312", options.name, "{messages}"),
      json: options.json ?? false
    }
    let worker: Worker | undefined
    let why: string | undefined
    let joins = 0
    let answer: ((failed: string | undefined) => void) | undefined

    const over = (because: string): void => {
      why = because
      lease.end()
      guard.onOver()
    }
    const hear = (said: Beside.Thread.Said): void => {
      if ("over" in said) return said.over === joins ? over(said.why) : undefined
      if ("joined" in said) return said.joined === joins ? answer?.(undefined) : undefined
      if (said.failed === joins) answer?.(said.why)
    }
    const start = (): Worker => {
      const thread = Beside.Thread.start(given)
      let failure = "it ended"
      thread.on("message", hear)
      thread.on("error", (error) => (failure = Reason.chain(error)))
      thread.on("exit", () => {
        if (worker !== thread) return
        worker = undefined
        const text = Codes.text("TRP0313", options.name, failure)
        over(text)
        answer?.(text)
      })
      return thread
    }
    const stop = (thread: Worker | undefined): Effect.Effect<unknown> => {
      if (worker === thread) worker = undefined
      return thread === undefined ? Effect.void : Effect.promise(() => thread.terminate())
    }

    const turn = Beside.Memory.turn(memory)
    turn()
    const turning = setInterval(turn, 100)
    turning.unref()
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(turning)))

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const thread = worker
        if (thread === undefined) return Effect.void
        const gone = Effect.callback<void>((resume) => {
          thread.once("exit", () => resume(Effect.void))
          Beside.Thread.tell(thread, { end: true })
        })
        worker = undefined
        return Effect.andThen(Effect.timeoutOption(gone, "2 seconds"), stop(thread))
      })
    )
    const join: Guard["join"] = (host, names = new Map()) =>
      Effect.callback<void, NotLiving>((resume) => {
        const n = ++joins
        why = undefined
        lease.end()
        answer = (failed) => {
          answer = undefined
          resume(failed === undefined ? Effect.void : Effect.fail(new NotLiving({ why: failed })))
        }
        try {
          worker ??= start()
          // So that the thread knows this loop's clock well when it begins the lease.
          turn()
          Beside.Thread.tell(worker, { join: n, host, names })
        } catch (error) {
          answer(Codes.text("TRP0313", options.name, Reason.chain(error)))
        }
        return Effect.sync(() => (answer = undefined))
      }).pipe(
        Effect.timeoutOrElse({
          duration: Math.max(options.lease, 5_000) + patience,
          orElse: () =>
            Effect.andThen(
              stop(worker),
              Effect.fail(new NotLiving({ why: Codes.text("TRP0313", options.name, "it does not answer") }))
            )
        })
      )

    const { begin, end, shown, turned } = Beside.Memory.board(memory)
    let marking = false
    /** Once for all that begin in one turn of the loop. */
    const mark = (): void => {
      if (marking) return
      marking = true
      setImmediate(() => {
        marking = false
        turned()
      })
    }
    const guard: Guard = {
      lease,
      board: {
        begin: (running) => {
          mark()
          return begin(running)
        },
        end,
        running: shown
      },
      lastWords: (_, messages) => void Beside.Memory.say(memory, messages, lastWordsWithin),
      join,
      able: Beside.Memory.able(memory).say,
      why: () => why,
      onOver: () => {}
    }
    // Loads while the host checks its servers. Where there are no threads the host says so when it joins.
    yield* Effect.ignore(Effect.try(() => (worker = start())))
    return guard
  })
