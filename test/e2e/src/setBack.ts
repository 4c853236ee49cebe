import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NatsServer } from "@troupe/embedded"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** A folder for one test. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-back-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Makes one folder a copy of another, owners and all. */
export const copy = (from: string, to: string): Effect.Effect<void> =>
  Effect.sync(() => {
    rmSync(to, { recursive: true, force: true })
    execFileSync("cp", ["-a", from, to])
  })

/** A nats-server whose store can be kept, and set back to what was kept, while it is down. */
export interface Broker {
  readonly url: string
  /** Takes it down, keeps its store, and starts it again. */
  readonly keep: Effect.Effect<void>
  /** On a connection of its own: one that is there already may not have seen a restart yet. */
  readonly use: <A>(use: (nats: NatsConnection) => Promise<A>) => Effect.Effect<A>
  /**
   * Sets the store, or one stream of it, back to what was kept. Other writers have it then for as long as `refill` takes;
   * nobody else finds it at that address.
   */
  readonly setBack: <A>(
    refill: (nats: NatsConnection) => Promise<A>,
    stream?: string,
    meanwhile?: Effect.Effect<void>
  ) => Effect.Effect<A>
}

export const broker: Effect.Effect<Broker, unknown, Scope.Scope> = Effect.gen(function* () {
  const dir = yield* folder
  const kept = yield* folder
  const up = yield* Effect.acquireRelease(
    Effect.sync(() => ({ scope: Scope.makeUnsafe() })),
    ({ scope }) => Scope.close(scope, Exit.void)
  )
  const { port, store, url } = yield* Scope.provide(NatsServer.start({ dir }), up.scope)
  const down = Effect.suspend(() => Scope.close(up.scope, Exit.void))
  const start = Effect.suspend(() => {
    up.scope = Scope.makeUnsafe()
    return Effect.asVoid(Effect.orDie(Scope.provide(NatsServer.start({ dir, port }), up.scope)))
  })
  const on = <A>(port: number, use: (nats: NatsConnection) => Promise<A>) =>
    Effect.acquireUseRelease(
      Effect.promise(() => connect({ servers: `127.0.0.1:${port}`, reconnect: false })),
      (nats) => Effect.promise(() => use(nats)),
      (nats) => Effect.promise(() => nats.close())
    )
  const elsewhere = <A>(use: (nats: NatsConnection) => Promise<A>) =>
    Effect.scoped(Effect.flatMap(NatsServer.start({ dir }), ({ port }) => on(port, use))).pipe(Effect.orDie)
  return {
    url,
    use: (use) => on(port, use),
    keep: Effect.andThen(down, Effect.andThen(copy(store, join(kept, "store")), start)),
    setBack: (refill, stream, meanwhile = Effect.void) =>
      Effect.gen(function* () {
        const part = stream === undefined ? "" : `jetstream/$G/streams/${stream}`
        yield* down
        yield* copy(join(kept, "store", part), join(store, part))
        yield* meanwhile
        const refilled = yield* elsewhere(refill)
        yield* start
        return refilled
      })
  }
})
