import * as NodeServices from "@effect/platform-node/NodeServices"
import { Reason } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Command from "effect/cli/Command"
import { troupe } from "./Commands.ts"
import { Ended, lineOf } from "./Failure.ts"
import { onUncaught } from "./onUncaught.ts"
import * as Print from "./Print.ts"
import * as Usage from "./Usage.ts"
import { version } from "./Version.ts"

const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/**
 * Runs the program of this process. A signal interrupts it, and it cleans up; a second one ends it at once. Whatever it
 * fails with is one line on stderr.
 */
export const start = (args: ReadonlyArray<string>): void => {
  const program = Command.runWith(troupe, { version })(args).pipe(Effect.provide([NodeServices.layer, Usage.layer]))
  const fiber = Effect.runFork(program)
  // A program that only waits for a promise does not keep Node.js alive.
  const alive = setInterval(() => {}, 2 ** 31 - 1)
  let signalled: keyof typeof signals | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signalled !== undefined) process.exit(signals[signalled])
    signalled = signal as keyof typeof signals
    fiber.interruptUnsafe()
  }
  for (const signal of Object.keys(signals)) process.on(signal, onSignal)
  // Nobody reads any more (`troupe dev | head`): the same as being told to stop.
  process.stdout.on("error", () => fiber.interruptUnsafe())
  process.stderr.on("error", () => {})
  process.on("uncaughtException", onUncaught)
  fiber.addObserver((exit) => {
    clearInterval(alive)
    end(exitCode(exit, signalled))
  })
}

const exitCode = (exit: Exit.Exit<void, unknown>, signalled: keyof typeof signals | undefined): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) {
    // A command that is ready, and is ended by signals, has set it to 0.
    return typeof process.exitCode === "number" ? process.exitCode : signalled === undefined ? 1 : signals[signalled]
  }
  const error = Cause.squash(exit.cause)
  if (Reason.is(error, Ended)) return error.code
  if (Usage.isShown(error)) return Usage.exitCode(error)
  Print.err(lineOf(error))
  return 1
}

/** Ends the process once stdout and stderr have been written: a pipe takes its time. */
const end = (code: number): void => {
  process.exitCode = code
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
}
