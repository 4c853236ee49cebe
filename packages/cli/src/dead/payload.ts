/** A payload as it can be shown. */
export interface Payload {
  readonly encoding: "json" | "text" | "hex"
  readonly text: string
  /** Whether there is more of it than is shown. */
  readonly truncated: boolean
}

/** So much of a payload is shown. */
export const limit = 64 * 1024

/** JSON set out in lines, other UTF-8 text as it is, anything else (control characters too) as hex: `00ff…`, 32 bytes a line. */
export const payload = (body: Uint8Array): Payload => {
  const truncated = body.length > limit
  const text = utf8(body.subarray(0, limit), truncated)
  if (text === undefined) return { encoding: "hex", text: hex(body.subarray(0, limit)), truncated }
  return truncated ? { encoding: "text", text, truncated } : { ...laidOut(text), truncated }
}

const laidOut = (text: string): { readonly encoding: "json" | "text"; readonly text: string } => {
  try {
    const out = JSON.stringify(JSON.parse(text, asWritten), undefined, 2)
    // Thousands of brackets in brackets become megabytes of indentation.
    return { encoding: "json", text: out.length <= 4 * limit ? out : text }
  } catch {
    return { encoding: "text", text }
  }
}

/** Numbers stay as they were written: 12345678901234567890 is no double. */
const asWritten = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" && context?.source !== undefined ? rawJSON(context.source) : value
const { rawJSON } = JSON as unknown as { readonly rawJSON: (source: string) => unknown }

/** `undefined` when it is no text. A character that the limit cut in two is left off. */
const utf8 = (bytes: Uint8Array, cut: boolean): string | undefined => {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: cut })
    return /(?![\t\n\r])\p{Cc}/u.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/.{64}(?=.)/g, "$&\n")
