import { Text } from "@troupe/contract"
import * as Effect from "effect/Effect"

/**
 * All that commands print goes through here, so no text of others commands the terminal; JSON stays exact. Line breaks stay:
 * where a text of others stands in a line of ours, it comes through `Text.line` or `Text.lines` before.
 */

/** Writes lines, or JSON, on stdout at once. */
export const line = (text: string): void => console.log(Text.visible(text))

/** The same as an effect. */
export const out = (text: string): Effect.Effect<void> => Effect.sync(() => line(text))

/** Prints text with colours on stdout. What others wrote in it came through `Text.line` before it was coloured. */
export const coloured = (text: string): Effect.Effect<void> => Effect.sync(() => console.log(text))

/** Writes lines on stderr. */
export const err = (text: string): void => void process.stderr.write(`${Text.visible(text)}\n`)
