/**
 * Text of others (keys, payloads, reasons, names) as a log, a terminal, a page or a reply may show it. Control characters would
 * command the terminal, format characters such as bidirectional marks would show another text than is there, and line breaks
 * would forge lines. Each is written as `\uXXXX`, which JSON reads as the same character: JSON stays exact.
 */

/** In one line: line breaks and tabs are escaped, too. */
export const line = (text: string): string => text.replace(hidden, escaped)

/** In lines: those after the first are indented, so that none is taken for a line of ours. Tabs stay. */
export const lines = (text: string): string => visible(text.replace(/\r?\n(?![ \t])/g, "\n  "))

/** The whole of a text that has its own line breaks, such as JSON or a table: they stay, as tabs do. */
export const visible = (text: string): string =>
  text.replace(hidden, (char) => (/[\n\t]/.test(char) ? char : escaped(char)))

/** Control (Cc), format (Cf) and line-breaking characters (Zl, Zp), and halves of a pair (Cs). */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

const escaped = (char: string): string =>
  Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")
