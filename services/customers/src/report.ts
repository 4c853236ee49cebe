import * as Plan from "./plan.ts"
import { count } from "./progress.ts"
import type { Summary } from "./summary.ts"

/** The summary, and what only the load knows. */
export interface Report extends Summary {
  readonly sentTwice: number
}

/** One line of JSON. */
export const json = ({ placed, paid, refused, shipped, sentTwice, lost, repeated, outOfOrder }: Report): string =>
  JSON.stringify({ placed, paid, refused, shipped, sentTwice, lost, repeated, outOfOrder })

/** A few aligned lines for a person. */
export const text = (report: Report, outOfStock: number, millis: number): string =>
  [
    `${count(Plan.orders)} orders of ${Plan.customers} customers in ${(millis / 1_000).toFixed(1)} s`,
    row("placed", report.placed, `${outOfStock} more were out of stock and told so`),
    row("paid", report.paid),
    row("refused", report.refused, "payment declined, order cancelled"),
    row("shipped", report.shipped),
    row("sent twice", report.sentTwice, "same id, same receipt"),
    row("lost", report.lost),
    row("repeated", report.repeated),
    row("out of order", report.outOfOrder)
  ].join("\n")

const row = (name: string, value: number, note = ""): string =>
  `  ${name.padEnd(12)} ${count(value).padStart(6)}  ${note}`.trimEnd()

/** Whether nothing was lost, repeated or put out of order. */
export const isGood = ({ lost, repeated, outOfOrder }: Summary): boolean => lost + repeated + outOfOrder === 0
