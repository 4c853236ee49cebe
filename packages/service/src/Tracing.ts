import { Tracing } from "@troupe/actor/engine"
import { Codes, Reason } from "@troupe/contract"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"

const settings = Config.all({
  protocol: Config.Literals(["http/protobuf", "http/json"], "OTEL_EXPORTER_OTLP_PROTOCOL").pipe(
    Config.withDefault("http/protobuf" as const)
  ),
  resource: Config.String("OTEL_RESOURCE_ATTRIBUTES").pipe(Config.withDefault(""))
})

/** Exports the spans of turns, and no others, as `exporter` does. */
export const layer = (service: string): Layer.Layer<never> => Tracing.layer.pipe(Layer.provide(exporter(service)))

/**
 * A tracer that exports spans by OTLP over HTTP, as the `OTEL_*` variables say; nothing is traced without an endpoint. What is
 * not exported at the end is given 3 s. A collector that is slow or away costs spans and nothing else.
 */
export const exporter = (service: string): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.map(settings, ({ protocol, resource }) => {
      const isNamed = /(^|,)\s*service\.name\s*=/.test(resource)
      const defaults = ConfigProvider.fromUnknown({
        OTEL_TRACES_EXPORTER: "otlp",
        ...(isNamed ? {} : { OTEL_SERVICE_NAME: service })
      })
      return OtlpTracer.layerFromConfig().pipe(
        Layer.provide(protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
        Layer.provide(collector),
        Layer.provide(ConfigProvider.layerAdd(defaults))
      )
    })
  ).pipe(
    // A wrong setting of the observers is no reason not to work.
    Layer.catchCause((cause) =>
      Layer.effectDiscard(
        Effect.logWarning(Codes.text("TRP0101", "OTEL_*", `nothing is traced: ${Reason.chain(cause)}`))
      )
    )
  )

/** Batches of spans under way at once. */
const underWay = 2

/**
 * A failure that the exporter gets to see makes it drop what it has and stand still for a minute. By itself it would try
 * a batch again and again, and keep any number of them meanwhile.
 */
const collector: Layer.Layer<HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function* () {
    const places = yield* Semaphore.make(underWay)
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    type Response = Effect.Effect<HttpClientResponse, HttpClientError>
    return HttpClient.transformResponse(client, (response): Response =>
      response.pipe(
        Effect.timeout("10 seconds"),
        Effect.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
        Effect.tapError((error) =>
          Effect.logWarning("the OTLP collector takes no spans: some are lost", Reason.chain(error))
        ),
        Effect.orDie,
        places.withPermitsIfAvailable(1),
        Effect.flatMap(
          Option.match({
            onNone: () => Effect.die(new Error("the OTLP collector is too slow: spans are lost")),
            onSome: Effect.succeed
          })
        )
      )
    )
  })
).pipe(Layer.provide(FetchHttpClient.layer))
