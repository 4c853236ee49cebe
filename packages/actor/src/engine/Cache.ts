/** A key's state as the last commit left it. */
export interface Entry {
  readonly version: number
  readonly value: unknown
  /** Characters of its stored form. */
  readonly size: number
}

/** Least recently used states of one partition. */
export interface Cache {
  has(token: string): boolean
  get(token: string): Entry | undefined
  set(token: string, entry: Entry): void
}

export const make = (limit: { readonly entries: number; readonly size: number }): Cache => {
  const entries = new Map<string, Entry>()
  let size = 0
  const remove = (token: string): void => {
    size -= entries.get(token)?.size ?? 0
    entries.delete(token)
  }
  return {
    has: (token) => entries.has(token),
    get: (token) => {
      const entry = entries.get(token)
      if (entry !== undefined) {
        entries.delete(token)
        entries.set(token, entry)
      }
      return entry
    },
    set: (token, entry) => {
      remove(token)
      entries.set(token, entry)
      size += entry.size
      while (entries.size > limit.entries || (size > limit.size && entries.size > 0))
        remove(entries.keys().next().value!)
    }
  }
}
