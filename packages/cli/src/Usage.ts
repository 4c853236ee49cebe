import { Reason } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { failure } from "./Failure.ts"
import * as Print from "./Print.ts"
import * as Version from "./Version.ts"

/** What is wrong with a command line, in one line: `TRP0602 …`, with what may have been meant. */
export const line = (commandPath: ReadonlyArray<string>, errors: ReadonlyArray<CliError.NonShowHelpErrors>): string => {
  const whys = errors.map((error) => {
    const [said = "", ...rest] = error.message.split("\n").map((part) => part.trim())
    const meant = "suggestions" in error ? error.suggestions : []
    return meant.length > 0 ? `${said}; did you mean ${meant.join(" or ")}?` : [said, ...rest].filter(Boolean).join(" ")
  })
  return failure("TRP0602", commandPath.join(" "), whys.join("; ")).message
}

/** Help on stdout, mistakes in one line on stderr. No wizard: nothing here asks questions. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.sync(() => Print.err(line(event.commandPath, event.errors)))
      : event._tag === "Version"
        ? Effect.sync(() => Print.line(Version.text(false)))
        : CliOutput.defaultPresenter.present(event)
}

export const layer: Layer.Layer<never> = Layer.mergeAll(
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.Wizard) })
)

/** Whether an error was shown by the presenter already. */
export const isShown = (error: unknown): error is CliError.ShowHelp => Reason.is(error, CliError.ShowHelp)

/** Help is no mistake. */
export const exitCode = (error: CliError.ShowHelp): number => (error.errors.length > 0 ? 1 : 0)
