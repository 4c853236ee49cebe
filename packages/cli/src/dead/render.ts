import { Text } from "@troupe/contract"
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
    Text.line(one.consumer),
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
    ["why", `${one.code} ${Text.line(one.reason)}`],
    ["consumer", `${Text.line(one.consumer)}, partition ${one.partition}`],
    ["key", Text.line(one.key ?? "-")],
    ["message", Text.line(one.messageId ?? "-")],
    ...(one.origin === undefined ? [] : [["origin", Text.line(one.origin)] as const]),
    ["from", `${Text.line(one.stream)} at ${one.sequence}, ${Text.line(one.subject)}`],
    ...(one.wished === undefined ? [] : [["wished", wish(one.wished)] as const])
  ]
  const headers = Object.entries(one.headers).map(([name, value]) => `  ${Text.line(name)}: ${Text.line(value)}`)
  const size = `${one.body.length} bytes${encoding === "hex" ? ", hex" : ""}${truncated ? ", the first 64 KiB" : ""}`
  return [
    ...facts.map(([name, value]) => `${name.padEnd(9)} ${value}`),
    "headers",
    ...(headers.length === 0 ? ["  none"] : headers),
    `payload   ${size}`,
    ...(text === "" ? [] : text.split("\n").map((line) => `  ${line}`))
  ].join("\n")
}

const wish = ({ at, by, kind }: NonNullable<DeadLetter["wished"]>): string =>
  `${kind}, by ${Text.line(by)} at ${at.toISOString()}, not done yet`

const cut = (text: string, length: number): string => {
  const one = Text.line(text)
  return one.length <= length ? one : `${one.slice(0, length - 1)}…`
}
