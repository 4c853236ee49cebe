import { TooMuch } from "./TooMuch.ts"

/** For so long turns of a batch are begun, ns: callers, health and whoever is to have the partition wait for its commit. */
export const patience = 5_000_000_000n
/** A batch that took no longer was a small one, ns. */
const quick = 1_000_000_000n

/** The turns of a batch take too long: it is to be run again in parts. */
export class Slow extends TooMuch {
  /** Turns that came to their end. */
  readonly done: number
  constructor(done: number) {
    super()
    this.done = done
  }
}

/** How many messages a partition handles before it commits: fewer while its turns are slow. */
export class Pace {
  most = Number.POSITIVE_INFINITY

  /** So many turns took all the time that a batch has. */
  slow(done: number): void {
    this.most = Math.max(1, Math.floor(done / 2))
  }

  /** A batch of so many messages was committed after so many ns. */
  took(messages: number, ns: bigint): void {
    if (ns < quick && messages >= this.most) this.most *= 2
  }
}
