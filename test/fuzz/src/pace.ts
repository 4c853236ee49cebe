import { setTimeout as sleep } from "node:timers/promises"

/** Lets so many a second pass, however many ask. */
export class Pace {
  count = 0
  private readonly since = performance.now()
  private readonly perSecond: number

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** Resolves when so many more may be sent. */
  async take(count: number): Promise<void> {
    this.count += count
    const early = (this.count / this.perSecond) * 1_000 - (performance.now() - this.since)
    if (early > 0) await sleep(early)
  }
}
