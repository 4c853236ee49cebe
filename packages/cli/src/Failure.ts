import { Codes, Reason, Text } from "@troupe/contract"
import * as Schema from "effect/Schema"

/** A command could not do its work. Its message is one line, for a person. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", {
  code: Schema.String,
  message: Schema.String
}) {}

/** `to` is what it happened to, `why` the cause; what to do comes from the table of codes. */
export const failure = (code: Codes.Code, to: string, why: string): Failure =>
  new Failure({ code, message: oneLine(Codes.text(code, to, why)) })

/** A command ends with this exit code and has said why already. */
export class Ended extends Schema.TaggedError<Ended>()("Ended", { code: Schema.Int }) {}

/** The line that is printed for whatever a command failed with. Never a stack. */
export const lineOf = (error: unknown): string => {
  const message = coded(error) ?? reason(error)
  return oneLine(/^TRP\d{4} /.test(message) ? message : Codes.text("TRP0603", "troupe", message))
}

/** Of an error that has its code beside its message. */
const coded = (error: unknown): string | undefined => {
  const code = Reason.get(error, "code")
  const said = reason(error)
  return typeof code === "string" && /^TRP\d{4}$/.test(code) && !said.startsWith("TRP") ? `${code} ${said}` : undefined
}

/** What an error says, in one line. */
export const reason = (error: unknown): string => Reason.text(error)

/**
 * The error of somebody else's code, with its place in the message: that of a syntax error, else the first line of the
 * stack that is no part of Node.js.
 */
export const located = (error: unknown): unknown => {
  const stack = Reason.full(error, 10_000)
  const [syntax] = /^(file:|\/)\S+:\d+$/m.exec(stack.split("\n")[0] ?? "") ?? []
  const frame = stack.split("\n").find((line) => /^\s+at /.test(line) && !line.includes("node:"))
  const place = syntax ?? /\(?((?:file:|\/)[^()]*:\d+:\d+)\)?$/.exec(frame ?? "")?.[1]
  return place === undefined ? error : new Error(`${reason(error)} (${place.replace(/^file:\/\//, "")})`)
}

const oneLine = (text: string): string => Text.line(text.replace(/\s*\n\s*/g, " ").trim())
