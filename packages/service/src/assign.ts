/** A living host, as far as the assignment minds. */
export interface Candidate {
  readonly id: string
  readonly contract: number
  /** It can work. */
  readonly able: boolean
}
export interface Partition {
  readonly p: number
  /** Its owner, living or not. */
  readonly host: string | null
  /** Of its owner, or of the last one. */
  readonly contract: number
}

/**
 * Which host shall own each partition of a consumer: the same answer wherever it is asked with the same view. Every host
 * gets as many as every other, within one; an owner keeps what it has up to that; the rest goes to the candidate with the
 * highest weight (rendezvous hashing). A partition that code of a newer contract had goes to such code only, so the
 * balance is within what each may have; without any candidate it goes to nobody. A host that cannot work gets nothing as
 * long as another candidate can.
 */
export const assign = (
  consumer: number,
  hosts: ReadonlyArray<Candidate>,
  partitions: ReadonlyArray<Partition>
): ReadonlyMap<number, string> => {
  const assigned = new Map<number, string>()
  const load = new Map(hosts.map(({ id }) => [id, 0]))
  // What the fewest may have goes first: those who may have more have room elsewhere.
  const levels = [...Map.groupBy(partitions, ({ contract }) => contract)].sort(([a], [b]) => b - a)
  for (const [contract, level] of levels) {
    const may = hosts.filter((host) => host.contract >= contract)
    const able = may.filter(({ able }) => able)
    const candidates = (able.length > 0 ? able : may).map(({ id }) => id)
    if (candidates.length === 0) continue
    const weigh = (host: string, { p }: Partition) => weight(host, consumer, p)
    const owned = new Map(
      candidates.map((id) => [
        id,
        level.filter(({ host }) => host === id).sort((a, b) => weigh(id, b) - weigh(id, a) || a.p - b.p)
      ])
    )
    const quota = share(candidates, level.length, load, (id, given) => {
      const more = owned.get(id)!.length > given ? 1 : 0
      return more + weight(id, consumer, -1) / 2 ** 32
    })
    const left = new Set(level)
    const give = (id: string, partition: Partition) => {
      assigned.set(partition.p, id)
      quota.set(id, quota.get(id)! - 1)
      left.delete(partition)
    }
    for (const [id, kept] of owned) for (const one of kept.slice(0, quota.get(id))) give(id, one)
    for (const one of [...left].sort((a, b) => a.p - b.p)) {
      give(
        highest(
          candidates.filter((id) => quota.get(id)! > 0),
          (id) => weigh(id, one)
        ),
        one
      )
    }
  }
  return assigned
}

/** Deals out `count`, one at a time, to whoever has least; among equals to the one that is preferred. */
const share = (
  candidates: ReadonlyArray<string>,
  count: number,
  load: Map<string, number>,
  preference: (id: string, given: number) => number
): Map<string, number> => {
  const given = new Map(candidates.map((id) => [id, 0]))
  for (let i = 0; i < count; i++) {
    const least = Math.min(...candidates.map((id) => load.get(id)!))
    const id = highest(
      candidates.filter((id) => load.get(id) === least),
      (id) => preference(id, given.get(id)!)
    )
    given.set(id, given.get(id)! + 1)
    load.set(id, least + 1)
  }
  return given
}

/** The one with the highest score; among equals the first by name, so that the order of the list does not matter. */
const highest = (ids: ReadonlyArray<string>, score: (id: string) => number): string =>
  ids.reduce((best, id) => {
    const difference = score(id) - score(best)
    return difference > 0 || (difference === 0 && id < best) ? id : best
  })

/** FNV-1a, then the finalizer of MurmurHash3: FNV alone hardly spreads what differs in its last characters only. */
const weight = (host: string, consumer: number, p: number): number => {
  let hash = 0x811c9dc5
  for (const char of `${host} ${consumer} ${p}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
