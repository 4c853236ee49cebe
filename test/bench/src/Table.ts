/** Rows as a Markdown table, padded so that it reads well as plain text; numbers to the right. */
export const render = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const width = header.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const right = header.map((_, i) => i > 0 && rows.every((row) => /^[\d.,]*\D{0,3}$/.test(row[i] ?? "")))
  const cells = (row: ReadonlyArray<string>) =>
    row.map((cell, i) => (right[i] === true ? cell.padStart(width[i] ?? 0) : cell.padEnd(width[i] ?? 0)))
  const rule = width.map((count, i) => (right[i] === true ? `${"-".repeat(count - 1)}:` : "-".repeat(count)))
  return [cells(header), rule, ...rows.map(cells)].map((row) => `| ${row.join(" | ")} |`).join("\n")
}

/** 12,345 */
export const count = (value: number): string => Math.round(value).toLocaleString("en")
