import { AsyncApi, OpenApi, Page } from "@troupe/contract/document"
import * as Effect from "effect/Effect"
import type { Gateway } from "./Gateway.ts"

export type Kind = "page" | "openapi.json" | "asyncapi.json"

export interface Options {
  readonly auth: "jwt" | "none"
  /** Where the gateway is reached. Never taken from a request: the examples send a token there. */
  readonly url: () => string | undefined
}

const html = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": Page.contentSecurityPolicy,
  "referrer-policy": "no-referrer"
}
const json = { "content-type": "application/json" }

/**
 * The documents of a gateway. Each is rendered once, when it is first asked for, and is the same for all requests. One that
 * cannot be rendered is not tried again: it dies with the first failure.
 */
export const make = (
  { contracts }: Gateway,
  { auth, url }: Options
): Effect.Effect<(kind: Kind) => Effect.Effect<Response>> =>
  Effect.gen(function* () {
    const rendered = (render: () => string) =>
      Effect.cached(Effect.sync(() => new TextEncoder().encode(render()) as Uint8Array<ArrayBuffer>))
    const documents: { readonly [K in Kind]: Effect.Effect<Uint8Array<ArrayBuffer>> } = {
      page: yield* rendered(() => {
        const at = url()
        return Page.make(contracts, { auth, ...(at === undefined ? {} : { url: at }) })
      }),
      "openapi.json": yield* rendered(() => JSON.stringify(OpenApi.make(contracts, { auth }))),
      "asyncapi.json": yield* rendered(() => JSON.stringify(AsyncApi.make(contracts)))
    }
    return (kind) =>
      Effect.map(
        documents[kind],
        (body) =>
          new Response(body, {
            headers: { ...(kind === "page" ? html : json), "cache-control": "public, max-age=60" }
          })
      )
  })
