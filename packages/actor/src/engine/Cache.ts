/** A key's state as the last commit left it. */
export interface Entry {
  readonly version: number
  readonly value: unknown
}

/** Least recently used states of one partition. */
export interface Cache {
  get(token: string): Entry | undefined
  set(token: string, entry: Entry): void
}

/** `limit`: entries at most. */
export const make = (limit: number): Cache => {
  const entries = new Map<string, Entry>()
  const cache: Cache = {
    get: (token) => {
      const entry = entries.get(token)
      if (entry !== undefined) {
        entries.delete(token)
        entries.set(token, entry)
      }
      return entry
    },
    set: (token, entry) => {
      entries.delete(token)
      entries.set(token, entry)
      if (entries.size > limit) entries.delete(entries.keys().next().value!)
    }
  }
  return cache
}
