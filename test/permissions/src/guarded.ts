import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { headers, type MsgHdrs, type NatsConnection, PermissionViolationError } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { Envelope } from "@troupe/contract"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The root of the repository. */
export const root = fileURLToPath(new URL("../../../", import.meta.url))

/** A file of the policy that is committed. */
export const committed = (name: string): string => readFileSync(`${root}infra/policy/${name}`, "utf8")

export type User = "OPERATOR" | "orders" | "payments" | "shipping" | "customers" | "gateway"

/** A nats-server with the committed users; each one's password is `secret-` and its name. */
export const server = Effect.suspend(() => serverOf(committed("nats.conf")))

/** The same with other users. */
export const serverOf = (policy: string) => {
  const passwords = [...policy.matchAll(/user: "?([\w-]+)"?,?\s+password: \$(\w+)/g)].map(
    ([, user, variable]) => `${variable}: "secret-${user}"`
  )
  return NatsServer.start({ config: `${passwords.join("\n")}\n${policy}` })
}

/** The address with a user in it. */
export const urlOf = (server: NatsServer.NatsServer, user: User): string =>
  server.url.replace("nats://", `nats://${user}:secret-${user}@`)

/** A bare connection of a user, with its own inbox. */
export const login = ({ port }: NatsServer.NatsServer, user: User): Effect.Effect<NatsConnection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() =>
      connect({ servers: `127.0.0.1:${port}`, user, pass: `secret-${user}`, inboxPrefix: `_INBOX.${user}` })
    ),
    (nc) => Effect.promise(() => nc.close())
  )

/** What the server refuses of what `act` does: `publish evt.…`, `subscription …`. It has said so before it answers the flush. */
export const refusals = async (nc: NatsConnection, act: () => void): Promise<ReadonlyArray<string>> => {
  const seen: Array<string> = []
  const status = nc.status()
  const watching = (async () => {
    for await (const one of status)
      if (one.type === "error" && one.error instanceof PermissionViolationError)
        seen.push(`${one.error.operation} ${one.error.subject}`)
  })()
  act()
  await nc.flush()
  ;(status as unknown as { stop(): void }).stop()
  await watching
  return seen
}

/** An envelope that says it is of payments. */
export const forged = (): MsgHdrs => {
  const found = headers()
  const envelope = Envelope.toHeaders({
    id: crypto.randomUUID(),
    type: "payments.Payment.authorized",
    source: "payments",
    key: "k",
    contract: 1
  })
  for (const [name, value] of Object.entries(envelope)) found.set(name, value ?? "")
  return found
}
