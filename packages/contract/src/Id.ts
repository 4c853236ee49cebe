/** A UUIDv8 (RFC 9562, 5.8) of a hash: its first 16 bytes, but for version and variant. `hex`: 32 digits or more, lower case. */
export const version8 = (hex: string): string => {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * `Nats-Msg-Id` of a message that nobody waits for: its id, as the header `ce-id` has it, and what it says. So the duplicate
 * window drops a repetition only; another message under a used id reaches its receiver, who tells them apart.
 */
export const published = (id: string, subject: string, body: string): string =>
  `${id}=${hash(`${subject}\0${body}`).toString(36)}`
/** The id that `published` made one of; any other text as it is. */
export const ofPublished = (text: string): string => text.replace(/=[0-9a-z]*$/, "")

/** 53 bits, of two multiplicative hashes of 32 (the first is FNV-1a). Against accidents, not against attackers. */
const hash = (text: string): number => {
  let a = 0x811c9dc5
  let b = 0x1b873593
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x85ebca6b) + (a >>> 15)
  }
  a = Math.imul(a ^ (b >>> 13), 0xc2b2ae35)
  return (b & 0x1fffff) * 2 ** 32 + ((a ^ (a >>> 16)) >>> 0)
}
