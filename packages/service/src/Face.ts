import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import * as Endpoints from "./Endpoints.ts"
import type { Health } from "./Health.ts"

/** What a host shows of itself: there before its servers are, and until its drain is over. */
export interface Face {
  /** Where the endpoints answer. */
  readonly url: string
  /** What the endpoints answer by. */
  readonly health: Effect.Effect<Health>
  /** It waits for a server: not ready, but alive. */
  readonly waits: (trouble: string) => void
  /** From here on this is answered. */
  readonly show: (source: Endpoints.Source) => void
}

const waiting = (trouble: string): Endpoints.Source => ({
  health: Effect.succeed({ ready: false, live: true, consumers: [], trouble: [trouble] }),
  metrics: PrometheusMetrics.format()
})

export const open = (
  service: string,
  at: { readonly host: string; readonly port: number }
): Effect.Effect<Face, Endpoints.EndpointsError, Scope.Scope> =>
  Effect.gen(function* () {
    let source = waiting("the host is about to start")
    const health = Effect.suspend(() => source.health)
    const metrics = Effect.suspend(() => source.metrics)
    const url = yield* Endpoints.serve(service, { health, metrics }, at)
    return {
      url,
      health,
      waits: (trouble) => void (source = waiting(trouble)),
      show: (next) => void (source = next)
    }
  })
