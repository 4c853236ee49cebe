import { connect, createServer, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A TCP proxy whose connections can be left half open: they stay, and nothing moves on them. */
export interface Proxy {
  readonly port: number
  /** Forwards nothing any more, of old connections and of new ones; what comes stays where it is. */
  stop(): void
  go(): void
}

/** Forwards to a port of this machine; ends with the scope. */
export const start = (to: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    let stopped = false
    const pass = (from: Socket, into: Socket): void => {
      sockets.add(from)
      from.on("data", (bytes) => into.write(bytes))
      from.on("error", () => into.destroy())
      from.on("close", () => {
        sockets.delete(from)
        into.destroy()
      })
      if (stopped) from.pause()
    }
    const server = createServer((client) => {
      const upstream = connect(to, "127.0.0.1")
      pass(client, upstream)
      pass(upstream, client)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    return {
      port: typeof address === "object" && address !== null ? address.port : 0,
      stop: () => {
        stopped = true
        for (const socket of sockets) socket.pause()
      },
      go: () => {
        stopped = false
        for (const socket of sockets) socket.resume()
      }
    }
  })
