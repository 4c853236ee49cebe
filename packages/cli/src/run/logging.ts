import { Reason, Text } from "@troupe/contract"
import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

/**
 * Log lines go to stderr, stdout is for answers: JSON for programs, `12:03:04.567 INFO message key=value` for people. A
 * handler may log anything: neither of them throws, whatever it is.
 */
export const layer = (json: boolean): Layer.Layer<never> =>
  Logger.layer([Logger.withConsoleError(json ? Logger.map(structured, Text.visible) : short)])

const structured = Logger.make<unknown, string>((options) => {
  const { cause, message } = options
  const messages = (Array.isArray(message) ? message : [message]).map(plain)
  // Effect's own formatter reads whatever the errors have, and ends with the first getter that throws.
  const failed = { name: "Error", message: Reason.text(cause), stack: Reason.full(cause, 8_000) }
  const told = { ...options, message: messages, cause: cause.reasons.length === 0 ? Cause.empty : Cause.die(failed) }
  try {
    return Logger.formatJson.log(told)
  } catch {
    return JSON.stringify({ message: messages, level: options.logLevel, timestamp: options.date.toISOString() })
  }
})

/** Fields of a line, with texts and numbers as they are. */
const plain = (value: unknown): unknown => {
  try {
    return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
      ? Object.fromEntries(Object.entries(value).map(([key, field]) => [key, simple(field)]))
      : simple(value)
  } catch (error) {
    return Reason.text(error)
  }
}
const simple = (value: unknown): unknown =>
  typeof value === "number" || typeof value === "boolean" || typeof value === "string" ? value : Reason.chain(value)

const short = Logger.make<unknown, string>(({ cause, date, fiber, logLevel, message }) => {
  const messages = (Array.isArray(message) ? message : [message]).map(text)
  const causes = cause.reasons.length === 0 ? [] : [Reason.chain(cause)]
  const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations)).map(
    ([k, v]) => `${k}=${Text.line(plainText(v))}`
  )
  return [date.toISOString().slice(11, 23), logLevel.toUpperCase(), ...messages, ...causes, ...annotations].join(" ")
})

const text = (value: unknown): string => Text.lines(plainText(value))

const plainText = (value: unknown): string => (typeof value === "string" ? value : Reason.chain(value))
