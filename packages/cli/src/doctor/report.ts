import { styleText } from "node:util"
import { Text } from "@troupe/contract"
import type { Finding } from "./Finding.ts"

const styles = { ok: "green", warn: "yellow", fail: "red" } as const

/** A line for each finding, what to do in a second one. `colour` for a terminal. */
export const lines = (findings: ReadonlyArray<Finding>, colour = false): ReadonlyArray<string> => {
  const width = Math.max(...findings.map(({ check }) => Text.line(check).length))
  const mark = (status: Finding["status"]): string =>
    colour ? styleText(styles[status], status.padEnd(4), { validateStream: false }) : status.padEnd(4)
  return findings.flatMap(({ check, says, status, todo }) => [
    `${mark(status)}  ${Text.line(check).padEnd(width)}  ${Text.line(says)}`,
    ...(todo === undefined ? [] : [`      ${"".padEnd(width)}  → ${Text.line(todo)}`])
  ])
}

/** The findings, and a sum. */
export const report = (findings: ReadonlyArray<Finding>, colour = false): string =>
  [...lines(findings, colour), "", sum(findings)].join("\n")

const sum = (findings: ReadonlyArray<Finding>): string => {
  const count = (status: Finding["status"]) => findings.filter((one) => one.status === status).length
  return `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed`
}

/** Whether nothing failed; a warning is no failure. */
export const healthy = (findings: ReadonlyArray<Finding>): boolean => findings.every(({ status }) => status !== "fail")
