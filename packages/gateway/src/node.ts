/** A gateway on Node's own HTTP server; `troupe run` starts it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import type { Client, ClientError } from "@troupe/client"
import { isLoopback } from "@troupe/contract/local"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as environment from "./environment.ts"
import type { Gateway } from "./Gateway.ts"
import { failure, type GatewayError } from "./GatewayError.ts"
import { Handler } from "./Handler.ts"
import * as Problem from "./Problem.ts"

/** Where a gateway listens, and through what it reaches the services. */
export interface Options {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly client: Layer.Layer<Client, ClientError>
  /** How long requests that are under way may take when it ends. Default: 10 seconds. */
  readonly drain?: Duration.Input
}

/**
 * Serves until the scope ends, and answers the url. Then it takes nothing new, ends event streams, answers what is under way,
 * and closes. Fails with TRP0711 when nothing says whose tokens it takes, or when it would take everybody's from elsewhere
 * than this machine; with TRP0219 without a secret for the ids of requests; with TRP0107 when it cannot listen.
 */
export const serve = (
  gateway: Gateway,
  { client, drain = "10 seconds", host, port }: Options
): Effect.Effect<string, GatewayError | ClientError, Scope.Scope> =>
  Effect.gen(function* () {
    const auth = gateway.auth ?? environment.auth(process.env)
    if (auth === "none" && !isLoopback(host))
      return yield* failure("TRP0711", host, "without tokens it listens on loopback only")
    const idSecret = gateway.idSecret ?? environment.idSecret(process.env)
    let listening: string | undefined
    const at = () => gateway.url ?? listening
    const built = yield* Layer.build(Handler.layer({ ...gateway, auth, idSecret }, at).pipe(Layer.provide(client)))
    const handler = Context.get(built, Handler)
    const run = Effect.runPromiseExitWith(yield* Effect.context())
    let ending = false
    const answer = async (effect: Effect.Effect<Response>, signal: AbortSignal, outgoing: ServerResponse) => {
      const exit = await run(effect, { signal })
      if (Exit.isSuccess(exit)) await write(outgoing, exit.value, ending)
      else outgoing.destroy()
    }
    const server = createServer(
      {
        maxHeaderSize: 16_384,
        headersTimeout: 10_000,
        requestTimeout: 30_000,
        keepAliveTimeout: 5_000,
        connectionsCheckingInterval: 2_000
      },
      (incoming, outgoing) => {
        const left = new AbortController()
        outgoing.once("close", () => left.abort())
        const request = requestOf(incoming, left.signal)
        const answered =
          request === undefined
            ? write(outgoing, Problem.response(unreadable), true)
            : answer(handler.handle(request), left.signal, outgoing)
        answered.catch(() => outgoing.destroy())
      }
    )
    // A connection that sends nothing costs memory as well.
    server.maxConnections = 2 * gateway.limits.concurrent + gateway.limits.streams.all
    yield* Effect.acquireRelease(listen(server, host, port), () =>
      Effect.gen(function* () {
        ending = true
        yield* handler.end
        yield* Effect.promise(() => closed(server, Duration.toMillis(drain)))
      })
    )
    const { address, family, port: bound } = server.address() as AddressInfo
    const url = `http://${family === "IPv6" ? `[${address}]` : address}:${bound}`
    // Elsewhere others reach it by a name that only its configuration knows.
    if (isLoopback(host)) listening = url
    return url
  })

const unreadable: Problem.Problem = { status: 400, code: "TRP0710", why: "the request line or a header cannot be read" }

const listen = (server: Server, host: string, port: number): Effect.Effect<void, GatewayError> =>
  Effect.callback((resume) => {
    server.once("error", (error) => resume(Effect.fail(failure("TRP0107", `${host}:${port}`, error.message))))
    server.listen({ host, port }, () => resume(Effect.void))
  })

const closed = (server: Server, within: number): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), within)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
  })

/** `undefined` for what the web platform cannot express: `OPTIONS *`, a host that is none or two, TRACE. */
const requestOf = (incoming: IncomingMessage, signal: AbortSignal): Request | undefined => {
  const { headersDistinct, method = "GET", rawHeaders, url = "" } = incoming
  const [host = "localhost", ...others] = headersDistinct["host"] ?? []
  // In its absolute form the target has a host of its own, which counts (RFC 9112, 3.2.2).
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url)
  if (absolute === null && !url.startsWith("/")) return undefined
  const [, authority = host, target = url] = absolute ?? []
  if (others.length > 0 || ![host, authority].every((one) => isHost.test(one))) return undefined
  try {
    const headers = new Headers()
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i] ?? "", rawHeaders[i + 1] ?? "")
    const body = method === "GET" || method === "HEAD" ? {} : { body: Readable.toWeb(incoming), duplex: "half" }
    return new Request(new URL(`http://${authority}${target}`), { method, headers, signal, ...body } as RequestInit)
  } catch {
    return undefined
  }
}

/** A name or an address, and perhaps a port: anything more would be read as a part of the path, or as a user. */
const isHost = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i

const write = async (outgoing: ServerResponse, response: Response, last: boolean): Promise<void> => {
  if (outgoing.destroyed) return void response.body?.cancel()
  // The rest of a body that nobody read would stand before the next request of the connection.
  if (last || !outgoing.req.complete) outgoing.setHeader("connection", "close")
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  if (response.body === null || outgoing.req.method === "HEAD") {
    void response.body?.cancel()
    return void outgoing.end()
  }
  outgoing.flushHeaders()
  const reader = response.body.getReader()
  outgoing.once("close", () => void reader.cancel().catch(() => {}))
  // A stream that is given up for its slow reader: what waits in the socket goes with it.
  reader.closed.catch(() => outgoing.destroy())
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read())
      if (!outgoing.write(next.value)) await writable(outgoing)
    outgoing.end()
  } catch {
    outgoing.destroy()
  }
}

/** Resolves when it takes more, or is gone. */
const writable = (outgoing: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done).off("close", done)
      resolve()
    }
    if (outgoing.destroyed) resolve()
    else outgoing.once("drain", done).once("close", done)
  })
