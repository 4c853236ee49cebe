import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type Fetch = (request: Request) => Response | Promise<Response>

/** Serves a `fetch` handler on this machine, and answers its url. A request that it throws at ends without an answer. */
export const served = (fetch: Fetch): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createServer(async (incoming, outgoing) => {
          try {
            const body = await buffer(incoming)
            const response = await fetch(
              new Request(`http://${incoming.headers.host}${incoming.url}`, {
                method: incoming.method!,
                headers: incoming.headers as Record<string, string>,
                ...(body.length === 0 ? {} : { body: new Uint8Array(body) })
              })
            )
            outgoing.writeHead(response.status, Object.fromEntries(response.headers))
            outgoing.end(Buffer.from(await response.arrayBuffer()))
          } catch {
            outgoing.destroy()
          }
        })
      ),
      (server) =>
        Effect.callback<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/edge`
  })
