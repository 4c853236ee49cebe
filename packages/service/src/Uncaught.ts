import { Board, Culprit, LastWords, type Running } from "@troupe/actor/engine"
import { Codes, Reason } from "@troupe/contract"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Maximum number of suspects that a line names. */
const named = 20

/**
 * Follows what nobody catches in this process. An exception that a handler caused, by a timer or a socket that it had
 * started, fails the handler's run if that still waits, and is logged if the run is over; a rejected promise is logged. Other
 * messages go on. An exception that no handler caused ends the process. The messages that run when a process ends are noted,
 * so that the next owner is careful with them; code that ends the process as if all were well is named, and the exit code
 * says that it was not.
 *
 * `replaced`: the program's own listener for uncaught exceptions. It is off meanwhile.
 */
export const watch = (replaced?: (error: unknown) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const board = yield* Board
    const lastWords = yield* LastWords

    const tell = (of: Running, why: string, cause: unknown): void =>
      void run(Effect.logError(Codes.text("TRP0317", of.what, why), Reason.full(cause)))
    const rejected = (cause: unknown): void => {
      const why = "a promise was rejected, and nobody waits for it"
      const culprit = Culprit.current()
      if (culprit === undefined) void run(Effect.logError(why, Reason.full(cause)))
      else tell(culprit.running, why, cause)
    }
    const thrown = (cause: unknown): void => {
      const culprit = Culprit.current()
      if (culprit?.fail !== undefined) return culprit.fail(cause)
      if (culprit !== undefined) return tell(culprit.running, "an exception that nobody caught", cause)
      const suspects = board.running()
      void run(Effect.logFatal(Codes.text("TRP0318", "this process", whatRan(suspects)), Reason.full(cause)))
      lastWords("an exception that nobody caught", suspects)
      // Without a listener of the program's, whoever else listens, as a test runner does, decides whether the process ends.
      if (replaced !== undefined || process.listenerCount("uncaughtException") === 1) process.exit(1)
    }
    const exited = (code: number): void => {
      // A handler that ends the process is to blame alone.
      const culprit = Culprit.current()
      const suspects = culprit === undefined ? board.running() : [culprit.running]
      if (suspects.length > 0) lastWords("the process was ended while messages ran", suspects)
      // A second signal, or an exception that was logged: its exit code says enough.
      if (culprit === undefined && code !== 0) return
      const who = culprit === undefined ? "code of no handler" : `the handler of ${culprit.running.what},`
      const ran = culprit === undefined ? `; ${whatRan(suspects)}` : ""
      void run(Effect.logFatal(Codes.text("TRP0325", "this process", `${who} ended it with exit code ${code}${ran}`)))
      if (code === 0) process.exitCode = 1
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        process.on("unhandledRejection", rejected)
        process.on("uncaughtException", thrown)
        process.on("exit", exited)
        if (replaced !== undefined) process.off("uncaughtException", replaced)
      }),
      () =>
        Effect.sync(() => {
          if (replaced !== undefined) process.on("uncaughtException", replaced)
          process.off("unhandledRejection", rejected)
          process.off("uncaughtException", thrown)
          process.off("exit", exited)
        })
    )
  })

const whatRan = (suspects: ReadonlyArray<Running>): string =>
  suspects.length === 0
    ? "no message ran"
    : `it ran ${suspects
        .slice(0, named)
        .map(({ what }) => what)
        .join("; ")}`
