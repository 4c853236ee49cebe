// The gateway under attack, in a process of its own: node gateway.ts '{"natsUrl": ..., "secret": ...}'.
import { NodeRuntime } from "@effect/platform-node"
import { layer } from "@troupe/client/node"
import { serve } from "@troupe/gateway/node"
import * as Effect from "effect/Effect"
import { gateway } from "./target.ts"
import { report, say } from "./vitals.ts"

const settings: { readonly natsUrl: string; readonly secret: string } = JSON.parse(process.argv[2] ?? "{}")
report()
Effect.gen(function* () {
  const client = layer({ servers: settings.natsUrl, name: "gateway", inboxPrefix: "_INBOX.gateway" })
  say({ ready: yield* serve(gateway(settings.secret), { host: "127.0.0.1", port: 0, client }) })
  return yield* Effect.never
}).pipe(Effect.scoped, NodeRuntime.runMain())
