import { Reason } from "@troupe/contract"
import { Patterns } from "@troupe/contract/patterns"
import { Client, ClientError } from "@troupe/client"
import * as Local from "@troupe/contract/local"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import * as Auth from "./Auth.ts"
import * as Command from "./Command.ts"
import { Counts } from "./Counts.ts"
import * as cors from "./cors.ts"
import * as Documents from "./Documents.ts"
import { Events } from "./Events.ts"
import * as eventSource from "./eventSource.ts"
import type { Gateway } from "./Gateway.ts"
import { failure, type GatewayError } from "./GatewayError.ts"
import * as Id from "./Id.ts"
import * as Measures from "./Measures.ts"
import * as permits from "./permits.ts"
import * as Problem from "./Problem.ts"
import { Rates } from "./Rates.ts"
import * as Routes from "./Routes.ts"

/** Answers requests of the web platform. */
export type Fetch = (request: Request) => Promise<Response>

/** A gateway at work. */
export class Handler extends Context.Service<
  Handler,
  {
    /** Never fails: what goes wrong is an answer too. */
    handle(request: Request): Effect.Effect<Response>
    /** From here on it takes nothing new, and says that it is not ready; event streams end. */
    readonly end: Effect.Effect<void>
  }
>()("@troupe/gateway/Handler") {
  /**
   * Over a client. Fails with TRP0711 when nobody says whose tokens are taken, with TRP0219 without a secret for ids, and with
   * TRP0108 for a contract with a pattern that could stop the gateway. `url` answers where the gateway is reached: it is asked
   * when the page is first rendered.
   */
  static readonly layer = (gateway: Gateway, url = () => gateway.url): Layer.Layer<Handler, GatewayError, Client> =>
    Layer.effect(Handler, make(gateway, url))
}

/**
 * A gateway as a `fetch` handler: for Deno, Bun, Workers, and tests. `client` is a layer of `@troupe/client`, whose user is
 * the gateway's own. It starts with the first request; while the client cannot, requests are answered with 503 and the next
 * one tries again. `fetch` rejects with TRP0711 when nobody says whose tokens are taken, with TRP0219 without a secret for ids. `dispose` ends it.
 */
export const toWebHandler = (
  gateway: Gateway,
  client: Layer.Layer<Client, ClientError>
): { readonly fetch: Fetch; readonly dispose: () => Promise<void> } => {
  const start = () => ManagedRuntime.make(Handler.layer(gateway).pipe(Layer.provide(client)))
  let runtime = start()
  return {
    fetch: async (request) => {
      const mine = runtime
      const handler = Effect.flatMap(Handler, (handler) => handler.handle(request))
      const exit = await mine.runPromiseExit(handler, { signal: request.signal })
      if (Exit.isSuccess(exit)) return exit.value
      const error = Cause.squash(exit.cause)
      if (Reason.is(error, ClientError) && runtime === mine) {
        // A runtime keeps that it could not start.
        runtime = start()
        Effect.runFork(Effect.logError(`the gateway cannot start: ${error.message}`))
        await mine.dispose()
      }
      // Who waited for the same start may see that it was ended instead.
      if (runtime === mine) throw error
      const route = Routes.parse(new URL(request.url).pathname)
      return cors.allow(request, refuse(request, route, busy("it cannot reach the services")), gateway.origins)
    },
    dispose: () => runtime.dispose()
  }
}

const make = (
  gateway: Gateway,
  url: () => string | undefined
): Effect.Effect<Handler["Service"], GatewayError, Client | Scope.Scope> =>
  Effect.gen(function* () {
    const { auth, limits, origins } = gateway
    const slow = Patterns.unproven(gateway.contracts.flatMap(Patterns.places))
    if (slow !== undefined) return yield* failure("TRP0108", slow.at, slow.pattern)
    const client = yield* Client
    const check = yield* Auth.make(auth)
    const idOf = yield* Id.make(gateway.idSecret, auth)
    const commands = Routes.commands(gateway.contracts)
    const sending = { commands, limits, idOf }
    const rates = new Rates(limits.rate)
    const events = new Events(gateway.contracts, limits, yield* Effect.scope)
    const documents = yield* Documents.make(gateway, { auth: auth === "none" ? "none" : "jwt", url })
    /** One bucket for all who ask for documents, since nobody says who asks. */
    const readers = new Rates(limits.rate)
    let underWay = 0
    const underWayOf = new Counts()
    const share = Math.max(1, Math.floor(limits.concurrent / 4))
    let ending = false

    const known = Effect.fnUntraced(function* (request: Request): Effect.fn.Return<Auth.Principal, Problem.Problem> {
      const principal = yield* check(request.headers.get("authorization"))
      if ("unknown" in principal) return yield* Effect.fail(unauthenticated(principal))
      yield* within(rates, principal.name)
      return principal
    })

    const document = Effect.fnUntraced(function* (
      request: Request,
      kind: Documents.Kind
    ): Effect.fn.Return<Response, Problem.Problem> {
      yield* within(readers, "documents")
      return yield* documents(kind)
    })

    const answer = Effect.fnUntraced(function* (
      request: Request,
      route: Routes.Route
    ): Effect.fn.Return<Response, Problem.Problem, Client> {
      if (route.kind === "livez") return Response.json({ ok: true })
      if (route.kind === "readyz") {
        const ok = !ending && (yield* client.connected)
        return Response.json({ ok }, { status: ok ? 200 : 503 })
      }
      if (ending) return yield* Effect.fail(busy("it is about to end"))
      if (underWay >= limits.concurrent) return yield* Effect.fail(busy(`${limits.concurrent} requests at once`))
      underWay++
      return yield* Effect.ensuring(
        route.kind === "document"
          ? document(request, route.document)
          : Effect.flatMap(known(request), (principal) => ofPrincipal(request, route, principal)),
        Effect.sync(() => void underWay--)
      )
    })

    const ofPrincipal = Effect.fnUntraced(function* (
      request: Request,
      route: Exclude<Routes.Route, { kind: "livez" | "readyz" | "document" }>,
      principal: Auth.Principal
    ): Effect.fn.Return<Response, Problem.Problem, Client> {
      const { name, scopes } = principal
      if (underWayOf.of(name) >= share) return yield* Effect.fail(tooMany(1, `${share} requests at once`))
      underWayOf.add(name, 1)
      return yield* Effect.ensuring(
        Effect.gen(function* () {
          if (route.kind === "events") return yield* events.answer(request, route.service, principal)
          if (route.kind !== "metrics") return yield* Command.answer(request, route, principal, sending)
          if (!scopes.includes("metrics")) return yield* Effect.fail(permits.refused("metrics"))
          return new Response(yield* PrometheusMetrics.format(), { headers: { "content-type": prometheus } })
        }),
        Effect.sync(() => underWayOf.add(name, -1))
      )
    })

    const handle = (request: Request): Effect.Effect<Response> =>
      Effect.gen(function* () {
        const began = yield* Clock.monotonicTimeNanos
        const url = new URL(request.url)
        const { pathname } = url
        const found = Routes.parse(pathname)
        const route = found?.kind === "document" && !gateway.documents ? undefined : found
        const methods = route === undefined ? [] : Routes.methods(route)
        /** Also of an event stream that is refused by one that ends. */
        let refused: number | undefined
        const asks = (header: string) => request.headers.get(header)
        // A link on a page of another site may lead to the page of the contracts, which shows nothing of this machine.
        const isLinked = route?.kind === "document" && asks("sec-fetch-mode") === "navigate"
        const isLocal = isLinked ? Local.isLoopback(url.hostname) : Local.isLocal(url, asks)
        const response =
          auth === "none" && !isLocal
            ? Problem.response(notLocal)
            : route === undefined
              ? Problem.response({ status: 404, code: "TRP0701", why: "" })
              : request.method === "OPTIONS"
                ? cors.options(request, methods)
                : !methods.includes(request.method)
                  ? Problem.response(notAllowed(methods))
                  : yield* answer(request, route).pipe(
                      Effect.provideService(Client, client),
                      Effect.catchDefect((defect) =>
                        Effect.andThen(
                          Effect.logError("a request failed", Reason.full(defect)),
                          Effect.fail(unexpected)
                        )
                      ),
                      Effect.catch((problem) => {
                        refused = problem.status
                        return Effect.succeed(refuse(request, route, problem))
                      })
                    )
        const to =
          route === undefined
            ? "nothing"
            : route.kind === "command" && commands.has(route.type)
              ? route.type
              : route.kind
        const ms = Number((yield* Clock.monotonicTimeNanos) - began) / 1e6
        const status = refused ?? response.status
        yield* Measures.count(to, status, ms)
        // The path of a command is at most 330 characters long; of anything else it may be anything.
        if (!own.has(to))
          yield* Effect.logInfo(`${request.method} ${pathname.slice(0, 330)} ${status} ${ms.toFixed(1)} ms`)
        response.headers.set("x-content-type-options", "nosniff")
        if (!response.headers.has("cache-control")) response.headers.set("cache-control", "no-store")
        return cors.allow(request, response, origins)
      })

    const end = Effect.suspend(() => {
      ending = true
      return events.end
    })
    return Handler.of({ handle, end })
  })

/** Takes one request from the rate of a name. */
const within = (rates: Rates, name: string): Effect.Effect<void, Problem.Problem> =>
  Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
    const wait = rates.take(name, Number(now) / 1e6)
    return wait === 0 ? Effect.void : Effect.fail(tooMany(wait, ""))
  })

const refuse = (request: Request, route: Routes.Route | undefined, problem: Problem.Problem): Response =>
  route?.kind === "events" && eventSource.is(request) && eventSource.isPassing(problem)
    ? eventSource.refusal(problem)
    : Problem.response(problem)

/** What machines ask all the time. */
const own: ReadonlySet<string> = new Set(["livez", "readyz", "metrics"])

const prometheus = "text/plain; version=0.0.4; charset=utf-8"

const notLocal: Problem.Problem = { status: 403, code: "TRP0717", why: "this gateway takes requests without tokens" }

const unauthenticated = ({ unknown, why }: Auth.Unknown): Problem.Problem => {
  if (unknown === "away") return busy(why)
  const error = unknown === "absent" ? "" : `, error="invalid_token", error_description="${why}"`
  return { status: 401, code: "TRP0706", why, headers: { "www-authenticate": `Bearer realm="troupe"${error}` } }
}

const tooMany = (wait: number, why: string): Problem.Problem => ({
  status: 429,
  code: "TRP0708",
  why,
  headers: { "retry-after": String(Math.max(1, Math.ceil(wait))) }
})
const busy = (why: string): Problem.Problem => ({ status: 503, code: "TRP0709", why, headers: { "retry-after": "1" } })
const notAllowed = (methods: ReadonlyArray<string>): Problem.Problem => ({
  status: 405,
  code: "TRP0702",
  why: "",
  headers: { allow: [...methods, "OPTIONS"].join(", ") }
})
const unexpected: Problem.Problem = { status: 500, code: "TRP0603", why: "" }
