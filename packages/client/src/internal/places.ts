import * as Effect from "effect/Effect"

/** The places of messages under way, given out in the order in which they were asked for. */
export class Places {
  readonly limit: number
  private taken = 0
  private readonly waiting = new Set<Place>()

  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes a place, or the end of the queue for one; `leave` gives either back. */
  enter(): Place {
    const place = new Place(() => {
      if (this.waiting.delete(place)) return
      const [next] = this.waiting
      if (next === undefined) this.taken--
      else {
        this.waiting.delete(next)
        next.give()
      }
    })
    if (this.taken < this.limit) {
      this.taken++
      place.give()
    } else this.waiting.add(place)
    return place
  }
}

class Place {
  readonly leave: () => void
  private given = false
  private wake: (() => void) | undefined

  constructor(leave: () => void) {
    this.leave = leave
  }

  give(): void {
    this.given = true
    this.wake?.()
  }

  /** Whether it is given within `ms`; from 2^31 on there is no limit, since no timer counts so far. The platform's timer, as for `Signals`. */
  within(ms: number): Effect.Effect<boolean> {
    return Effect.callback((resume) => {
      if (this.given || !(ms > 0)) return resume(Effect.succeed(this.given))
      const timer = ms < 2 ** 31 ? setTimeout(() => resume(Effect.succeed(false)), ms) : undefined
      this.wake = () => {
        clearTimeout(timer)
        resume(Effect.succeed(true))
      }
      return Effect.sync(() => clearTimeout(timer))
    })
  }
}
