import { lineOf, located } from "./Failure.ts"

/** Ends the process upon an exception that nobody caught. A host that runs has its own listener in its place. */
export const onUncaught = (error: unknown): void => {
  process.stderr.write(`${lineOf(located(error))}\n`)
  process.exit(1)
}
