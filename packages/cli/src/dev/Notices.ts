import { styleText } from "node:util"
import { Text } from "@troupe/contract"

/** A line of dev itself, on stderr. */
export const say = (text: string): void => write(paint(["bold"], "troupe"), Text.line(text))

/** A line of a service, on stderr, behind its name. */
export const pass = (service: string, line: string): void =>
  write(paint(["dim"], `${service} │`), paint(["dim"], Text.line(line)))

/** On a terminal a program of `--then` may be writing a line that it will write again: this one goes in its place. */
const fresh = process.stderr.isTTY ? "\r\u001b[2K" : ""
const write = (who: string, text: string): void => void process.stderr.write(`${fresh}${who} ${text}\n`)

/** Only on a terminal, and not where NO_COLOR asks for none: `styleText` looks. */
const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
  styleText(style, text, { stream: process.stderr, validateStream: true })
