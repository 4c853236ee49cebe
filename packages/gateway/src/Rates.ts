/**
 * A token bucket for each name. Ours, since Effect's store in memory keeps every name for ever: a bucket that is full again
 * is as good as none, so those are forgotten, and no more than `most` are kept: the longest unused goes first.
 */
export class Rates {
  private readonly buckets = new Map<string, { tokens: number; at: number }>()
  private readonly burst: number
  private readonly perSecond: number
  private readonly most: number

  constructor(rate: { readonly burst: number; readonly perSecond: number }, most = 10_000) {
    this.burst = rate.burst
    this.perSecond = rate.perSecond
    this.most = most
  }

  /** Takes one token at `now`, in ms of a monotonic clock; answers 0, or how many seconds until there is one. */
  take(name: string, now: number): number {
    const bucket = this.buckets.get(name) ?? { tokens: this.burst, at: now }
    const tokens = Math.min(this.burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1_000) * this.perSecond)
    this.buckets.delete(name)
    this.buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    for (const [oldest, { at, tokens }] of this.buckets) {
      const isFull = tokens + ((now - at) / 1_000) * this.perSecond >= this.burst
      if (!isFull && this.buckets.size <= this.most) break
      this.buckets.delete(oldest)
    }
    return tokens >= 1 ? 0 : (1 - tokens) / this.perSecond
  }

  get size(): number {
    return this.buckets.size
  }
}
