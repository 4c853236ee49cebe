import { keyOf } from "../turns/load.ts"

/** A light load: each caller waits a little after every answer. What was answered is counted by key. */
export interface Load {
  /** One call more, at this key. */
  probe(key: string): Promise<void>
  /** Ends the callers once their calls are answered. */
  stop(): Promise<ReadonlyMap<string, number>>
}

const callers = 8
const keys = 200
const pause = 10

export const start = (increment: (key: string) => Promise<unknown>): Load => {
  const answered = new Map<string, number>()
  const ending = { is: false }
  const probe = async (key: string): Promise<void> => {
    await increment(key)
    answered.set(key, (answered.get(key) ?? 0) + 1)
  }
  const caller = async (): Promise<void> => {
    while (!ending.is) {
      await probe(keyOf((Math.random() * keys) | 0))
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  const all = Promise.all(Array.from({ length: callers }, caller))
  // Whoever stops it hears of it.
  all.catch(() => {})
  return {
    probe,
    stop: async () => {
      ending.is = true
      await all
      return answered
    }
  }
}
