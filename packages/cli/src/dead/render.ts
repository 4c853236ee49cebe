import type { DeadLetters } from "@troupe/postgres"
import { payload } from "./payload.ts"

type DeadLetter = DeadLetters.DeadLetter

/** What a list says of one: everything but its headers and its payload. */
export const row = (one: DeadLetter) => ({
  id: one.id,
  at: one.at.toISOString(),
  code: one.code,
  reason: one.reason,
  consumer: one.consumer,
  partition: one.partition,
  key: one.key ?? null,
  messageId: one.messageId ?? null,
  origin: one.origin ?? null,
  stream: one.stream,
  sequence: one.sequence,
  subject: one.subject,
  bytes: one.body.length,
  wished: one.wished === undefined ? null : { ...one.wished, at: one.wished.at.toISOString() }
})

/** All of it, for programs. */
export const letter = (one: DeadLetter) => ({ ...row(one), headers: one.headers, payload: payload(one.body) })

/** A line for each, under a head line. */
export const table = (letters: ReadonlyArray<DeadLetter>): string => {
  if (letters.length === 0) return "no dead letters"
  const rows = letters.map((one) => [
    String(one.id),
    one.at.toISOString().slice(0, 19),
    one.consumer,
    cut(one.key ?? "-", 40),
    one.code,
    one.wished?.kind ?? "-",
    cut(one.reason, 100)
  ])
  const head = ["ID", "AT", "CONSUMER", "KEY", "CODE", "WISHED", "REASON"]
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => cells[i]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd()
  return [head, ...rows].map(line).join("\n")
}

/** One, for a person. */
export const page = (one: DeadLetter): string => {
  const { encoding, text, truncated } = payload(one.body)
  const facts: ReadonlyArray<readonly [string, string]> = [
    ["id", String(one.id)],
    ["at", one.at.toISOString()],
    ["why", `${one.code} ${visible(one.reason)}`],
    ["consumer", `${one.consumer}, partition ${one.partition}`],
    ["key", visible(one.key ?? "-")],
    ["message", visible(one.messageId ?? "-")],
    ...(one.origin === undefined ? [] : [["origin", visible(one.origin)] as const]),
    ["from", `${one.stream} at ${one.sequence}, ${visible(one.subject)}`],
    ...(one.wished === undefined ? [] : [["wished", wish(one.wished)] as const])
  ]
  const headers = Object.entries(one.headers).map(([name, value]) => `  ${visible(name)}: ${visible(value)}`)
  const size = `${one.body.length} bytes${encoding === "hex" ? ", hex" : ""}${truncated ? ", the first 64 KiB" : ""}`
  return [
    ...facts.map(([name, value]) => `${name.padEnd(9)} ${value}`),
    "headers",
    ...(headers.length === 0 ? ["  none"] : headers),
    `payload   ${size}`,
    ...(text === "" ? [] : [text])
  ].join("\n")
}

const wish = ({ at, by, kind }: NonNullable<DeadLetter["wished"]>): string =>
  `${kind}, by ${visible(by)} at ${at.toISOString()}, not done yet`

const cut = (text: string, length: number): string => {
  const one = visible(text)
  return one.length <= length ? one : `${one.slice(0, length - 1)}…`
}

/** A message may say anything; a terminal must not obey it. */
const visible = (text: string): string =>
  text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
