import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type EmbeddedError, NatsServer } from "@troupe/embedded"
import { type Cluster, cluster } from "@troupe/test-world/cluster"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** NATS: one server, or a cluster of three with a replica of each stream on each. */
export interface Broker {
  /** Of all servers, as `NATS_URL` takes it. */
  readonly url: string
  readonly servers: readonly [NatsServer.NatsServer, ...Array<NatsServer.NatsServer>]
  readonly cluster: Cluster | undefined
  /** Kills all servers with SIGKILL; which processes they were. */
  readonly kill: Effect.Effect<ReadonlyArray<number>>
  /** Starts all servers; returns when they answer. */
  readonly start: Effect.Effect<void, EmbeddedError.EmbeddedError>
  /** Copies the stores of all servers, which must be down, to a folder. */
  readonly copy: (folder: string) => void
  /** Replaces the stores by such a copy. */
  readonly putBack: (folder: string) => void
}

/** Servers in a cluster; each stream has as many replicas. */
export const replicas = 3

export const make = (clustered: boolean): Effect.Effect<Broker, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    // Hosts reach each server over a link of their own: an address that a server told them would lead around it.
    const found = clustered ? yield* cluster({ servers: replicas, advertise: false }) : undefined
    const [first = yield* NatsServer.start(), ...rest] = found?.servers ?? []
    const servers = [first, ...rest] as const
    const storeIn = (folder: string, i: number) => join(folder, `store-${i}`)
    return {
      url: servers.map(({ url }) => url).join(),
      servers,
      cluster: found,
      kill: Effect.forEach(
        servers,
        (server) =>
          Effect.suspend(() => {
            const { pid } = server
            return Effect.as(server.kill("SIGKILL"), pid)
          }),
        { concurrency: "unbounded" }
      ),
      start: Effect.forEach(servers, ({ restart }) => restart, { concurrency: "unbounded", discard: true }),
      copy: (folder) => servers.forEach(({ store }, i) => cpSync(store, storeIn(folder, i), { recursive: true })),
      putBack: (folder) => {
        for (const [i, { store }] of servers.entries()) {
          rmSync(store, { recursive: true })
          cpSync(storeIn(folder, i), store, { recursive: true })
        }
      }
    }
  })
