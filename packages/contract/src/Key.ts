const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The longest key that fits a subject: bytes, percent-encoded. */
export const maxBytes = 200

/** Printable ASCII that NATS takes literally in a subject token: everything but `%`, `*`, `.` and `>`. */
const literal = (byte: number): boolean =>
  byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x2a && byte !== 0x2e && byte !== 0x3e

const literals = /^[!-$&-)+\-/-=?-~]+$/

/**
 * The subject token of a key: its UTF-8 bytes, percent-encoded (upper-case hex) where a subject cannot have them.
 * `undefined` for a key that has no token: empty, over 200 bytes encoded, or not well-formed Unicode.
 */
export const encode = (key: string): string | undefined => {
  if (key.length === 0 || key.length > maxBytes) return undefined
  if (literals.test(key)) return key
  if (!key.isWellFormed()) return undefined
  let token = ""
  for (const byte of encoder.encode(key)) {
    token += literal(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }
  return token.length <= maxBytes ? token : undefined
}

/** The key of a subject token, or `undefined` when the token is not what `encode` gives: `%41` and `A` are not two keys. */
export const decode = (token: string): string | undefined => {
  if (!token.includes("%")) return encode(token) === token ? token : undefined
  const bytes: Array<number> = []
  for (let i = 0; i < token.length; i++) {
    if (token[i] !== "%") bytes.push(token.charCodeAt(i))
    else {
      const hex = token.slice(i + 1, i + 3)
      if (!/^[0-9A-F]{2}$/.test(hex)) return undefined
      bytes.push(Number.parseInt(hex, 16))
      i += 2
    }
  }
  if (bytes.some((byte) => byte > 0xff)) return undefined
  try {
    const key = decoder.decode(new Uint8Array(bytes))
    return encode(key) === token ? key : undefined
  } catch {
    return undefined
  }
}

/**
 * The partition of a subject token: FNV-1a (32 bits) modulo `partitions`, as nats-server's `{{partition(n,token)}}`
 * computes it, so that every language lands on the same one.
 */
export const partition = (token: string, partitions: number): number => hash(token) % partitions

/** FNV-1a of a subject token, 32 bits. http://www.isthe.com/chongo/tech/comp/fnv/ */
export const hash = (token: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < token.length; i++) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
