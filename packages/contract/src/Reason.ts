import { isCause } from "effect/Cause"
import * as Text from "./Text.ts"

/**
 * Texts for values that were thrown, rejected or failed with. Anything can be thrown: none of these functions throws, and
 * their results are short, well-formed Unicode, escaped as in `Text`. Code of the value runs in getters and proxy traps
 * only, never in `toString`, `toJSON` or the like.
 */

/** In one line: the message of an error, without stack and causes. At most `limit` characters. */
export const text = (why: unknown, limit = 1_000): string => attempt(() => line(says(why, limit), limit))

/** In one line: the message of an error and those of its causes. At most `limit` characters. */
export const chain = (why: unknown, limit = 1_000): string =>
  attempt(() => {
    const parts: Array<string> = []
    for (const one of causes(why)) {
      const part = line(says(one, limit), limit)
      if (!parts.some((known) => known.includes(part))) parts.push(part)
    }
    return line(parts.join(": "), limit)
  })

/** In lines: the stack of an error, then those of its causes. At most `limit` characters. */
export const full = (why: unknown, limit = 2_000): string =>
  attempt(() => {
    const parts: Array<string> = []
    for (const one of causes(why)) parts.push((parts.length > 0 ? "[cause]: " : "") + stack(one, limit))
    return clean(parts.join("\n"), limit) || silent
  })

/** `Text.lines` of at most `limit` characters: any column, header and terminal can take it. */
export const clean = (text: string, limit: number): string =>
  Text.lines(text.slice(0, limit).toWellFormed().trim()).slice(0, limit)

/** A property, or `undefined` where reading it throws. */
export const get = (value: unknown, name: PropertyKey): unknown => {
  try {
    return (value as Record<PropertyKey, unknown>)[name]
  } catch {
    return undefined
  }
}

/** `value instanceof type`, which throws for a revoked proxy. */
export const is = <T>(value: unknown, type: abstract new (...args: never) => T): value is T => {
  try {
    return value instanceof type
  } catch {
    return false
  }
}

const silent = "it gives no reason"

const attempt = (run: () => string): string => {
  try {
    return run()
  } catch {
    return "its reason cannot be read"
  }
}

/** Cut before it is looked at: a message may have 100 MB. */
const line = (text: string, limit: number): string =>
  clean(
    text
      .slice(0, 4 * limit)
      // A stack that somebody put into a message.
      .replace(/\n[ \t]+at [^\n]*:\d[^\n]*/g, "")
      .replace(/\s+/g, " ")
      .trim(),
    limit
  ) || silent

/** An error and its causes, each once; those of an Effect `Cause` one after the other. */
const causes = (why: unknown): ReadonlyArray<unknown> => {
  const found = new Set<unknown>()
  const follow = (one: unknown, depth: number): void => {
    if (one === undefined || found.has(one) || found.size >= depths || depth > depths) return
    const reasons = reasonsOf(one)
    if (reasons === undefined) found.add(one)
    for (const next of reasons ?? [get(one, "cause"), get(get(one, "errors"), 0)]) follow(next, depth + 1)
  }
  follow(why, 0)
  return found.size === 0 ? [why] : [...found]
}
const depths = 5

/** What an Effect `Cause` holds; `undefined` for anything else. */
const reasonsOf = (value: unknown): ReadonlyArray<unknown> | undefined => {
  try {
    return isCause(value)
      ? value.reasons.map((reason) =>
          reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : "it was interrupted"
        )
      : undefined
  } catch {
    return undefined
  }
}

/** What a value says of itself, before it is made a line. */
const says = (why: unknown, limit: number, depth = 0): string => {
  if (typeof why === "string") return why
  const reasons = reasonsOf(why)
  if (reasons !== undefined) return depth > depths ? silent : says(reasons[0], limit, depth + 1)
  if (!isError(why)) return shown(why, { left: limit }, 0)
  const message = get(why, "message")
  const said = typeof message === "string" ? message : ""
  // What wraps others says nothing of its own: postgres.js' AggregateError, Effect's UnknownError.
  if (depth < depths && (said.trim() === "" || said.startsWith("An error occurred in Effect."))) {
    for (const inner of [get(get(why, "errors"), 0), get(why, "cause")])
      if (inner !== undefined) return says(inner, limit, depth + 1)
  }
  if (said.trim() !== "") return said
  return texts(get(why, "code")) || texts(get(why, "name")) || silent
}
const texts = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "")

/** Those of other realms too: they are errors by what they have. */
const isError = (value: unknown): boolean => is(value, Error) || stackOf(value) !== undefined

/**
 * V8 makes the text of a stack when it is first read: with `toString` of a name and a message that are no texts, and with a
 * copy of a message of any length.
 */
const stackOf = (error: unknown): string | undefined => {
  const message = get(error, "message")
  if (typeof get(error, "name") !== "string" || typeof message !== "string" || message.length > 10_000) return undefined
  const stack = get(error, "stack")
  return typeof stack === "string" ? stack : undefined
}

const stack = (why: unknown, limit: number): string => {
  if (!isError(why)) return says(why, limit)
  const name = texts(get(why, "name")) || "Error"
  const said = says(why, limit).slice(0, limit)
  const traced = stackOf(why)
  if (traced === undefined) return `${name}: ${said}`
  const cut = traced.slice(0, 4 * limit)
  // A message that is computed, or was changed, is not in the stack.
  const at = cut.search(/^ +at /m)
  return cut.includes(said) || at < 0 ? cut : `${name}: ${said}\n${cut.slice(at)}`
}

/** As JSON has it, of a bounded part of the value. `left`: characters. */
const shown = (value: unknown, room: { left: number }, depth: number): string => {
  const piece = attempt(() => whole(value, room, depth))
  room.left -= piece.length
  return piece
}
const breadth = 20

const whole = (value: unknown, room: { left: number }, depth: number): string => {
  if (typeof value === "string") return JSON.stringify(clean(value, Math.max(room.left, 1)))
  // To write down a long one takes minutes.
  if (typeof value === "bigint" && BigInt.asIntN(256, value) !== value) return "a long bigint"
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return String(value).slice(0, 200)
  if (depth > 0 && isError(value)) return JSON.stringify(line(says(value, 200), 200))
  if (depth > 2 || room.left <= 0) return "…"
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  const list = Array.isArray(value)
  // Boxed text has a property for each character.
  const keys = list
    ? Array.from({ length: Math.min(value.length, breadth + 1) }, (_, i) => i)
    : is(value, String)
      ? []
      : Object.keys(value)
  const items = keys.slice(0, breadth).map((key) => {
    const item = shown(Object.getOwnPropertyDescriptor(value, key)?.value, room, depth + 1)
    return list ? item : `${JSON.stringify(clean(`${key}`, 100))}:${item}`
  })
  if (keys.length > breadth) items.push("…")
  return list ? `[${items.join()}]` : `{${items.join()}}`
}
