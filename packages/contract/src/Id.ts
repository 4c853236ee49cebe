/** A UUIDv8 (RFC 9562, 5.8) of a hash: its first 16 bytes, but for version and variant. `hex`: 32 digits or more, lower case. */
export const version8 = (hex: string): string => {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
