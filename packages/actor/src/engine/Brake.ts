/** Keys that are looked at: the last ones that were handled. */
const window = { least: 20, most: 100 }
/** Of them, so many may fail. */
const share = 0.2
/** Parked keys of one partition that are kept in memory. */
const most = 10_000

/**
 * Too many keys fail: parking them one by one would park the world, where the handler is broken or what it needs is away.
 * Nothing of the batch is committed, and it is tried again later.
 */
export class Braked extends Error {
  override readonly name = "Braked"
}

/** What the partition waits for is elsewhere: no message is to blame, and to start this process anew would not bring it back. */
export class Away extends Braked {}

/** How the last keys of a partition fared that were not parked. */
export class Brake {
  private readonly keys = new Map<string, boolean>()
  private failing = 0

  saw(token: string, failed: boolean): void {
    // As long as nothing fails it does not matter which keys these are.
    if (!failed && this.failing === 0 && this.keys.size === window.most) return
    if (this.keys.get(token) === true) this.failing--
    this.keys.delete(token)
    this.keys.set(token, failed)
    if (failed) this.failing++
    if (this.keys.size <= window.most) return
    const [oldest, did] = this.keys.entries().next().value!
    this.keys.delete(oldest)
    if (did) this.failing--
  }

  /** Why a batch is not committed of which keys failed, or after which so many keys would be parked that were not. */
  holds(failed: boolean, parked: number): string | undefined {
    if (parked > most) return `${most} keys are parked`
    const { size } = this.keys
    return failed && size >= window.least && this.failing > size * share
      ? `${this.failing} of the last ${size} keys failed`
      : undefined
  }
}
