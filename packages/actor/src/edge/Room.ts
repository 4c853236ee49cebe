/**
 * Memory for bodies that are not verified yet, of an isolate as a whole. Places are given back when their body is read; one
 * whose request was cut off without notice, as workerd may do, is taken back at its time.
 */
export class Room {
  readonly #places = new Set<Place>()
  readonly #limit: number
  #taken = 0

  /** `limit`: bytes of all places together. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** A place for so many bytes, until `until` at the latest (ms, of the clock that says `now`); `undefined` if there is no room. */
  enter(bytes: number, now: number, until: number): Place | undefined {
    for (const place of this.#places) if (place.until <= now) this.leave(place)
    const size = Math.max(bytes, least)
    if (this.#taken + size > this.#limit) return undefined
    const place = { bytes: size, until }
    this.#places.add(place)
    this.#taken += size
    return place
  }

  leave(place: Place): void {
    if (this.#places.delete(place)) this.#taken -= place.bytes
  }

  /** Bytes of all places together. */
  get taken(): number {
    return this.#taken
  }
}

export interface Place {
  readonly bytes: number
  readonly until: number
}

/** A request costs memory beside its body. */
const least = 16_384
