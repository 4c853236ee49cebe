import { AsyncApi, OpenApi, Page } from "@troupe/contract/document"
import type { Gateway } from "./Gateway.ts"

export type Kind = "page" | "openapi.json" | "asyncapi.json"

const policy = { "content-security-policy": Page.contentSecurityPolicy, "referrer-policy": "no-referrer" }

/** What a gateway says of its contracts, made when it is first asked for. */
export class Documents {
  private readonly gateway: Gateway
  private readonly auth: "jwt" | "none"
  private readonly made = new Map<Kind, string>()
  /** The page names the address at which it was asked for: the last one is kept. */
  private origin = ""

  constructor(gateway: Gateway, auth: "jwt" | "none") {
    this.gateway = gateway
    this.auth = auth
  }

  answer(kind: Kind, request: Request): Response {
    const origin = this.gateway.url ?? new URL(request.url).origin
    if (origin !== this.origin) this.made.delete("page")
    this.origin = origin
    const text = this.made.get(kind) ?? this.make(kind)
    this.made.set(kind, text)
    const headers =
      kind === "page"
        ? { "content-type": "text/html; charset=utf-8", ...policy }
        : { "content-type": "application/json" }
    return new Response(text, { headers: { ...headers, "cache-control": "public, max-age=60", vary: "host" } })
  }

  private make(kind: Kind): string {
    const { contracts } = this.gateway
    if (kind === "page") return Page.make(contracts, { auth: this.auth, url: this.origin })
    return JSON.stringify(
      kind === "openapi.json" ? OpenApi.make(contracts, { auth: this.auth }) : AsyncApi.make(contracts)
    )
  }
}
