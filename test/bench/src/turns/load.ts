/** Adds `n` to the counter of a key and answers its total. */
export type Call = (key: string, n: number) => Promise<number>

export interface Load {
  readonly callers: number
  readonly keys: number
  /** Before the measurement, in seconds. */
  readonly warm: number
  readonly seconds: number
}

export interface Measured {
  /** Per second, answered within the measured time. */
  readonly rate: number
  /** ms */
  readonly p50: number
  readonly p99: number
  /** All calls, also those before and after. */
  readonly calls: number
  readonly errors: ReadonlyArray<string>
  /** Share of a core that this process took. */
  readonly driverCpu: number
}

export const keyOf = (i: number): string => `key-${i}`

/** A closed loop: so many callers, each with one call under way, at keys drawn evenly. */
export const run = async (
  call: Call,
  { callers, keys, seconds, warm }: Load,
  told: (what: "begin" | "end") => void
): Promise<Omit<Measured, "p50" | "p99"> & { readonly latencies: Float64Array }> => {
  const names = Array.from({ length: keys }, (_, i) => keyOf(i))
  const latencies = new Float64Array(4_000_000)
  const errors: Array<string> = []
  let measured = 0
  let measuring = false
  const ending = { is: false }
  let calls = 0
  const caller = async (): Promise<void> => {
    while (!ending.is && errors.length < 10) {
      const key = names[(Math.random() * keys) | 0] ?? ""
      const since = performance.now()
      try {
        await call(key, 1)
        calls++
        if (measuring && measured < latencies.length) latencies[measured++] = performance.now() - since
      } catch (error) {
        errors.push(error instanceof Error ? error.message : String(error))
      }
    }
  }
  const all = Promise.all(Array.from({ length: callers }, caller))
  await sleep(warm)
  told("begin")
  measuring = true
  const cpu = process.cpuUsage()
  const from = performance.now()
  await sleep(seconds)
  const ms = performance.now() - from
  measuring = false
  const used = process.cpuUsage(cpu)
  told("end")
  ending.is = true
  await all
  return {
    rate: measured / (ms / 1_000),
    calls,
    errors,
    driverCpu: (used.user + used.system) / 1_000 / ms,
    latencies: latencies.subarray(0, measured)
  }
}

/** The sum of all counters, as the system itself tells it. */
export const sum = async (call: Call, keys: number): Promise<number> => {
  let next = 0
  let total = 0
  const reader = async (): Promise<void> => {
    while (next < keys) {
      const counted = await call(keyOf(next++), 0)
      total += counted
    }
  }
  await Promise.all(Array.from({ length: 64 }, reader))
  return total
}

const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
