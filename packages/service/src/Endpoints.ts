import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Codes, Text } from "@troupe/contract"
import * as Local from "@troupe/contract/local"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Health } from "./Health.ts"

/** The health endpoints cannot be served. Its message is for a person. */
export class EndpointsError extends Schema.TaggedError<EndpointsError>()("EndpointsError", {
  code: Schema.String,
  message: Schema.String
}) {}

/**
 * No page of another site may look; on loopback no other name of this machine is taken either. Elsewhere a platform may ask by
 * any name or address.
 */
const isAllowed = (listens: string, headers: Readonly<Record<string, string | undefined>>): boolean => {
  const url = URL.parse(`http://${headers["host"] ?? "localhost"}`)
  if (url === null) return false
  return (Local.isLoopback(listens) ? Local.isLocal : Local.isNoOtherSite)(url, (header) => headers[header])
}
const refused = Effect.succeed(
  HttpServerResponse.text(
    `${Codes.text("TRP0717", "the endpoints of a service", "the request names another host or site")}\n`,
    {
      status: 403
    }
  )
)

/** What the endpoints say. */
export interface Source {
  readonly health: Effect.Effect<Health>
  /** In the text format of Prometheus. */
  readonly metrics: Effect.Effect<string>
}

/**
 * Serves `/livez`, `/readyz` and `/startupz` as JSON: 200, or 503 with what is the matter; started is who was ready once.
 * And `/metrics` for Prometheus. Answers the url. At the end it waits half a second for requests that are under way.
 */
export const serve = (
  service: string,
  { health: look, metrics }: Source,
  at: { readonly host: string; readonly port: number }
): Effect.Effect<string, EndpointsError, Scope.Scope> => {
  let started = false
  const health = Effect.tap(look, ({ ready }) => Effect.sync(() => void (started ||= ready)))
  const answer = (path: `/${string}`, ok: (health: Health) => boolean) =>
    HttpRouter.add(
      "GET",
      path,
      Effect.map(health, (health) => {
        const status = ok(health) ? 200 : 503
        const { consumers, trouble } = health
        return HttpServerResponse.text(
          Text.visible(JSON.stringify({ service, ok: status === 200, consumers, trouble })),
          {
            status,
            contentType: "application/json"
          }
        )
      })
    )
  const routes = Layer.mergeAll(
    answer("/livez", ({ live }) => live),
    answer("/readyz", ({ ready }) => ready),
    answer("/startupz", () => started),
    HttpRouter.add(
      "GET",
      "/metrics",
      Effect.map(metrics, (text) =>
        HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
      )
    )
  )
  const server = NodeHttpServer.layer(() => createServer(), {
    host: at.host,
    port: at.port,
    gracefulShutdownTimeout: "500 millis"
  })
  const watch = Effect.repeat(health, { until: () => started, schedule: Schedule.spaced("100 millis") })
  const middleware = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => (isAllowed(at.host, headers) ? app : refused))
  return HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true, middleware }).pipe(
    Layer.provideMerge(server),
    Layer.build,
    Effect.tap(Effect.forkScoped(watch)),
    Effect.map((context) => HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)),
    Effect.mapError(
      (error) =>
        new EndpointsError({
          code: "TRP0107",
          message: Codes.text("TRP0107", `${at.host}:${at.port}`, String(error.cause ?? error))
        })
    )
  )
}
