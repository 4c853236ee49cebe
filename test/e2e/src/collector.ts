import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A span as OTLP/HTTP carries it in JSON. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number; readonly message?: string }
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue?: string } }>
  /** `service.name` of whoever exported it. */
  readonly service: string | undefined
}

export interface Collector {
  readonly url: string
  readonly spans: ReadonlyArray<Span>
  /** Requests that came, and the most of them that were open at once. */
  readonly requests: { came: number; open: number; most: number }
}

interface Export {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: Pick<Span, "attributes">
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Omit<Span, "service">> }>
  }>
}

/** An OTLP collector that keeps what it gets; a `deaf` one takes requests and never answers. */
export const start = (deaf = false): Effect.Effect<Collector, never, Scope.Scope> =>
  Effect.gen(function* () {
    const spans: Array<Span> = []
    const requests = { came: 0, open: 0, most: 0 }
    const server = createServer((request, response) => {
      requests.came++
      requests.most = Math.max(requests.most, ++requests.open)
      response.on("close", () => requests.open--)
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => (body += text))
      request.on("end", () => {
        if (deaf) return
        for (const { resource, scopeSpans } of (JSON.parse(body) as Export).resourceSpans) {
          const service = resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue
          for (const scope of scopeSpans) spans.push(...scope.spans.map((span) => ({ ...span, service })))
        }
        response.setHeader("content-type", "application/json").end("{}")
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise((resolve) => server.close(resolve))
        })
    )
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, requests }
  })
