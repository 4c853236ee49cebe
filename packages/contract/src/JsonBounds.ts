/** What a JSON text may hold: decoding costs time for each value, and stack for each level. */
export interface Bounds {
  /** Maximum number of values. Each member of an object and each element of an array is one. */
  readonly values: number
  /** Maximum depth of nested objects and arrays. */
  readonly depth: number
}

/** The bounds of a message's payload. */
export const payload: Bounds = { values: 50_000, depth: 100 }

/** A bound that a JSON text exceeds; `why` is for a person. */
export interface Exceeded {
  readonly bound: keyof Bounds
  readonly why: string
}

/** Says which bound a JSON text exceeds; `undefined` if it keeps both. The text is not parsed. */
export const exceeded = (json: string, bounds: Bounds = payload): Exceeded | undefined => {
  // A text that exceeds a bound has more characters.
  if (json.length <= Math.min(bounds.values, bounds.depth)) return undefined
  const found = measure(json, bounds)
  if (found.depth > bounds.depth) return { bound: "depth", why: `it is nested deeper than ${bounds.depth}` }
  return found.values > bounds.values ? { bound: "values", why: `it has more than ${bounds.values} values` } : undefined
}

/**
 * Counts the values and the depth of a JSON text in linear time, without parsing it. Stops once one of them exceeds its
 * bound. Of a text that is not JSON it counts something: a parser refuses that text.
 */
export const measure = (json: string, bounds: Bounds): Bounds => {
  let values = 1
  let level = 0
  let depth = 0
  for (let i = 0; i < json.length && values <= bounds.values && depth <= bounds.depth; i++) {
    switch (json.charCodeAt(i)) {
      case quote:
        i = endOfString(json, i)
        break
      case comma:
        values++
        break
      case openObject:
      case openArray:
        depth = Math.max(depth, ++level)
        // Its first value has no comma in front of it.
        if (!isClosing(json.charCodeAt(i + 1))) values++
        break
      case closeObject:
      case closeArray:
        level--
    }
  }
  return { values, depth }
}

/** Where the string that begins at `start` ends: at its closing quote, or behind the text. */
const endOfString = (json: string, start: number): number => {
  for (let end = json.indexOf('"', start + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let slashes = 0
    while (json.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return end
  }
  return json.length
}

const isClosing = (code: number): boolean => code === closeObject || code === closeArray

const quote = 0x22
const comma = 0x2c
const backslash = 0x5c
const openArray = 0x5b
const closeArray = 0x5d
const openObject = 0x7b
const closeObject = 0x7d
