import { lineOf, located } from "./Failure.ts"
import * as Print from "./Print.ts"

/** Ends the process upon an exception that nobody caught. A host that runs has its own listener in its place. */
export const onUncaught = (error: unknown): void => {
  Print.err(lineOf(located(error)))
  process.exit(1)
}
