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
