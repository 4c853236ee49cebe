import { Text } from "@troupe/contract"
import type { Compatibility } from "@troupe/contract/document"

const words = { nobody: "compatible", senders: "breaks senders", receivers: "breaks receivers" }

/** For a person: what breaks somebody comes first. */
export const lines = (changes: ReadonlyArray<Compatibility.Change>): string => {
  if (changes.length === 0) return "nothing changed"
  const broken = changes.filter(({ breaks }) => breaks !== "nobody")
  const fine = changes.filter(({ breaks }) => breaks === "nobody")
  return [...broken, ...fine]
    .map(
      ({ breaks, path, todo, what, why }) =>
        `${words[breaks].padEnd(16)}  ${[path, what, why, todo].map(Text.line).join(" · ")}`
    )
    .join("\n")
}
