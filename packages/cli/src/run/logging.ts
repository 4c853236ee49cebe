import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { reason } from "../Failure.ts"

/** Log lines go to stderr, stdout is for answers: JSON for programs, `12:03:04.567 INFO message key=value` for people. */
export const layer = (json: boolean): Layer.Layer<never> =>
  Logger.layer([Logger.withConsoleError(json ? Logger.formatJson : short)])

const short = Logger.make<unknown, string>(({ cause, date, fiber, logLevel, message }) => {
  const messages = (Array.isArray(message) ? message : [message]).map(text)
  const causes = cause.reasons.length === 0 ? [] : [text(Cause.squash(cause))]
  const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations)).map(([k, v]) => `${k}=${text(v)}`)
  return [date.toISOString().slice(11, 23), logLevel.toUpperCase(), ...messages, ...causes, ...annotations].join(" ")
})

const text = (value: unknown): string =>
  typeof value === "string" ? value : value instanceof Error ? reason(value) : (JSON.stringify(value) ?? String(value))
