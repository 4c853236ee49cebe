import { parseArgs } from "node:util"
import { type BenchError, failure } from "./BenchError.ts"

export const systems = ["troupe", "restate", "effectCluster", "dbos"] as const
export type System = (typeof systems)[number]

export const benches = ["turns", "relay", "failover", "memory", "report"] as const
export type Bench = (typeof benches)[number]

export interface Options {
  readonly bench: Bench
  readonly json: boolean
  /** Of `turns`: what is compared. */
  readonly only: ReadonlyArray<System>
  /** Of `turns`: the numbers of callers. */
  readonly callers: ReadonlyArray<number>
  readonly rounds: number
  /** What is measured of each round; a warm-up of a third of it goes before. */
  readonly seconds: number
  /** Of `relay`: the backlog. */
  readonly rows: number
  /** Of `relay`: a transaction that stays open beside it. */
  readonly snapshot: boolean
  /** Of `failover`. */
  readonly hosts: number
  readonly kills: number
  readonly freezes: number
  /** Of `memory`. */
  readonly actors: number
  readonly timers: number
  /** The nats-server syncs to disk before it acknowledges. */
  readonly syncAlways: boolean
  /** A folder for CPU profiles of the driver and of the host. */
  readonly profile: string | undefined
  /** Of `turns`: an SVG file to write. */
  readonly picture: string | undefined
  /** Of `report`: a file of JSON lines. */
  readonly results: string | undefined
}

export const usage = `usage: pnpm bench <bench> [flags]

  turns      calls per second beside Restate, Effect Cluster and DBOS, and the limits below them
  relay      how fast a backlog of the outbox reaches its stream, beside a raw publish of the same messages
  failover   from the kill of a host to the first answer of its partitions
  memory     what actors that sleep, timers and load take
  report     FILE: writes the tables of docs/benchmarks.md anew from JSON lines

  --json               JSON lines instead of a table
  --only a,b           turns: of ${systems.join(", ")}
  --callers 64,512     turns
  --rounds 3           turns: the median counts
  --seconds 6          turns and memory: measured per round; a third of it before is for warming up
  --picture FILE       turns: an SVG
  --rows 100000        relay: the backlog
  --snapshot           relay: beside a transaction that stays open
  --hosts 3            failover
  --kills 20           failover
  --freezes 3          failover
  --actors 1000000     memory
  --timers 100000      memory
  --sync-always        nats-server syncs to disk before it acknowledges
  --profile FOLDER     turns: CPU profiles of the driver and of the host
`

/** Reads the command line; a `BenchError` for what it cannot read. */
export const parse = (args: ReadonlyArray<string>): Options | BenchError => {
  const refused = (to: string, why: string): BenchError =>
    failure("the command line cannot be read", to, why, "see the usage")
  let given
  try {
    given = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        only: { type: "string", default: systems.join() },
        callers: { type: "string", default: "64,512" },
        rounds: { type: "string", default: "3" },
        seconds: { type: "string", default: "6" },
        rows: { type: "string", default: "100000" },
        snapshot: { type: "boolean", default: false },
        hosts: { type: "string", default: "3" },
        kills: { type: "string", default: "20" },
        freezes: { type: "string", default: "3" },
        actors: { type: "string", default: "1000000" },
        timers: { type: "string", default: "100000" },
        "sync-always": { type: "boolean", default: false },
        profile: { type: "string" },
        picture: { type: "string" }
      }
    })
  } catch (cause) {
    return refused("bench", cause instanceof Error ? cause.message.split("\n", 1).join() : String(cause))
  }
  const { positionals, values } = given
  const [name, results] = positionals
  const bench = benches.find((known) => known === name)
  if (bench === undefined) return refused(name ?? "bench", `the benches are ${benches.join(", ")}`)
  if (positionals.length !== (bench === "report" ? 2 : 1)) return refused(bench, `${positionals.length - 1} arguments`)
  const numbers = { rounds: 1, seconds: 1, rows: 1_000, hosts: 1, kills: 1, freezes: 0, actors: 1, timers: 0 }
  const counts: { [name: string]: number } = {}
  for (const [flag, least] of Object.entries(numbers)) {
    const count = Number(values[flag as keyof typeof numbers])
    if (!Number.isInteger(count) || count < least) return refused(`--${flag}`, `not a whole number from ${least} on`)
    counts[flag] = count
  }
  const callers = values.callers.split(",").map(Number)
  if (!callers.every((count) => Number.isInteger(count) && count > 0)) return refused("--callers", "not whole numbers")
  const only = values.only.split(",")
  const unknown = only.find((name) => !systems.includes(name as System))
  if (unknown !== undefined) return refused("--only", `no system ${unknown}, they are ${systems.join(", ")}`)
  return {
    bench,
    json: values.json,
    only: systems.filter((system) => only.includes(system)),
    callers,
    ...(counts as { readonly [name in keyof typeof numbers]: number }),
    snapshot: values.snapshot,
    syncAlways: values["sync-always"],
    profile: values.profile,
    picture: values.picture,
    results
  }
}
