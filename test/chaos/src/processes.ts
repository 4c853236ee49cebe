import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

interface Process {
  readonly pid: number
  readonly parent: number
  /** As `ps` says it: `T` is stopped. */
  readonly state: string
}

/** The processes of this machine that run or are stopped. */
export const all = (): ReadonlyArray<Process> => (process.platform === "linux" ? fromProc() : fromPs())

// `1234 (a name) S 1 ...`; a zombie (Z) runs no more.
const fromProc = (): ReadonlyArray<Process> =>
  readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const [, state = "", parent] = /.*\) (\S) (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? []
      return state === "Z" ? [] : [{ pid: Number(name), parent: Number(parent), state }]
    } catch {
      return []
    }
  })

const fromPs = (): ReadonlyArray<Process> =>
  execFileSync("ps", ["-A", "-o", "pid=,ppid=,state="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , state]) => !state!.startsWith("Z"))
    .map(([pid, parent, state]) => ({ pid: Number(pid), parent: Number(parent), state: state! }))

export const isThere = (pid: number): boolean => all().some((one) => one.pid === pid)

/** Waits until none of them is there; how many there were at first. */
export const gone = (pids: ReadonlyArray<number>): Effect.Effect<number> =>
  Effect.sync(() => pids.some(isThere)).pipe(
    Effect.repeat({ until: (some) => !some, schedule: Schedule.spaced("20 millis") }),
    Effect.as(pids.length)
  )

/** Time on a processor that a process used so far, in ms; 0 when there is none. Of 10 ms at the finest. */
export const cpu = (pid: number): number => {
  try {
    if (process.platform !== "linux") {
      const text = execFileSync("ps", ["-o", "cputime=", "-p", String(pid)], { encoding: "utf8" })
      return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) * 1_000
    }
    // Behind the name: the state is field 3, user and system time are fields 14 and 15, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return 0
  }
}
