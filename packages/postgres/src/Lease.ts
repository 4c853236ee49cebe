import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** This host may have been given up by the others: what it was about to do is left to the next owner. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {}) {
  override get message(): string {
    return "this host's lease is over: another host may own its partitions"
  }
}

/** Whether a host may still speak for its partitions, by its own clock and without asking anybody. */
export interface Lease {
  held(): boolean
}

/** The lease of the host that runs this. Always held where there is no host. */
export const Lease = Context.Reference<Lease>("@troupe/postgres/Lease", {
  defaultValue: () => ({ held: () => true })
})

/** Fails unless the lease is held. To be asked right before each commit and each publish. */
export const check: Effect.Effect<void, LeaseLost> = Effect.flatMap(Lease, (lease) =>
  lease.held() ? Effect.void : Effect.fail(new LeaseLost())
)

/** A lease that begins when a host joins, and again whenever it joins anew. */
export interface Renewable extends Lease {
  /** From when the heartbeat was *sent*: it may have been written then. `lost` says that the control connection is gone. */
  begin(sent: number, lost: () => boolean): void
  /** A lease that is over stays over: what depends on it was dropped. */
  renew(sent: number): void
  end(): void
}

/** Lasts `duration` ms of a clock that is never set, and that goes on while the process is frozen. */
export const make = (duration: number, now: () => number = () => performance.now()): Renewable => {
  let sentAt = Number.NEGATIVE_INFINITY
  let isLost = () => true
  const held = () => !isLost() && now() - sentAt < duration
  return {
    held,
    begin: (sent, lost) => {
      sentAt = sent
      isLost = lost
    },
    renew: (sent) => {
      if (held()) sentAt = sent
    },
    end: () => {
      isLost = () => true
    }
  }
}
