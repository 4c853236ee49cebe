import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import * as Effect from "effect/Effect"
import { open, type Options } from "../identity/open.ts"
import { look, row, type Seen, serviceOf } from "./look.ts"

export const list = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const servers = yield* open(options)
      const seen = yield* look(servers, yield* serviceOf(servers))
      yield* Print.out(options.json ? JSON.stringify({ consumers: seen.map(row) }) : table(seen))
    })
  )

const table = (seen: ReadonlyArray<Seen>): string => {
  const head = ["NAME", "HOSTS", "TIMERS", "PARKED", "DEAD", "COMMANDS"]
  const rows = seen.map(({ commands, dead, hosts, name, parked, timers }) => [
    Text.line(name),
    hosts === 0 ? "none" : String(hosts),
    ...[timers, parked, dead, commands].map(String)
  ])
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => cells[i]?.length ?? 0)))
  return [head, ...rows]
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
