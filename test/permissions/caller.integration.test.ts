import { headers } from "@nats-io/nats-core"
import { connect as connectBare } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { connect, type ClientError, type SubscribeOptions } from "@troupe/client/node"
import { Envelope, type Contract } from "@troupe/contract"
import { NatsServer } from "@troupe/embedded"
import { Nats, Topology } from "@troupe/nats"
import { Caller, nats, Policy } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Guarded from "./src/guarded.ts"

const callers = [Caller.make("web", { hears: [Orders] }), Caller.make("app", { hears: [Orders] })]

/** A server with these two callers, and the streams of orders and payments with one event each. */
const world = Effect.gen(function* () {
  const policy = nats(callers.map(Policy.ofCaller))
  const passwords = ["NATS_PASSWORD", "WEB_NATS_PASSWORD", "APP_NATS_PASSWORD"].map((name) => `${name}: secret`)
  const server = yield* NatsServer.start({ config: `${passwords.join("\n")}\n${policy}` })
  const url = Redacted.make(server.url.replace("nats://", "nats://OPERATOR:secret@"))
  const events = [
    ["orders", "orders.Order.cancelled"],
    ["payments", "payments.Payment.authorized"]
  ] as const
  const made = Effect.gen(function* () {
    const { js } = yield* Nats
    for (const [service, type] of events) {
      yield* Topology.ensure("evt", service, Topology.limits)
      yield* Topology.ensurePlaces(service, 1)
      // There, and as it should be.
      yield* Topology.ensurePlaces(service, 1)
      const all = headers()
      for (const [name, value] of Object.entries(Envelope.toHeaders({ id: "e-1", type, source: service })))
        all.set(name, value)
      yield* Effect.promise(() => js.publish(`evt.${type}.k`, `{"reason":"none"}`, { headers: all }))
    }
  })
  yield* Effect.provide(made, Nats.layer({ url }))
  return server
})

const first = async (
  server: NatsServer.NatsServer,
  user: string,
  event: Contract.AnyEventRef,
  options: SubscribeOptions
): Promise<string> => {
  const login = { user, name: user, pass: "secret", inboxPrefix: `_INBOX.${user}` }
  await using client = await connect({ servers: server.url, ...login })
  try {
    for await (const heard of client.subscribe(event, { from: "start", ...options }))
      return (heard as { place: string }).place
    return "closed"
  } catch (error) {
    const { reason } = error as ClientError
    return reason._tag === "NotAllowed" ? reason.subject : reason._tag
  }
}

it.live(
  "a caller hears the services that it declares, by key and by a durable name of its own, and nothing else",
  () =>
    Effect.gen(function* () {
      const server = yield* world
      const { cancelled } = Orders.Order.events
      const hear = (user: string, options: SubscribeOptions) =>
        Effect.promise(() => first(server, user, cancelled, options))
      const place = yield* hear("web", {})
      assert.match(place, /^orders\./)
      assert.strictEqual(yield* hear("web", { key: "k" }), place)
      assert.strictEqual(yield* hear("web", { durable: "billing" }), place)
      assert.strictEqual(yield* hear("app", { durable: "billing" }), place)

      assert.match(
        yield* Effect.promise(() => first(server, "web", Payments.Payment.events.authorized, {})),
        /^\$JS\.API\.STREAM\.INFO\.EVT_payments$/
      )
      const web = yield* Effect.acquireRelease(
        Effect.promise(() =>
          connectBare({ servers: server.url, user: "web", pass: "secret", inboxPrefix: "_INBOX.web" })
        ),
        (nc) => Effect.promise(() => nc.close())
      )
      for (const subject of [
        "place.orders.app.billing",
        "place.payments.web.billing",
        "$JS.API.DIRECT.GET.PLACE_orders.place.orders.app.billing",
        "$JS.API.DIRECT.GET.PLACE_orders",
        "$JS.API.STREAM.MSG.GET.PLACE_orders",
        "$JS.API.STREAM.PURGE.PLACE_orders",
        "evt.orders.Order.cancelled.k",
        "cmd.orders.Order.cancel.k"
      ])
        assert.deepStrictEqual(yield* Effect.promise(() => Guarded.refusals(web, () => web.publish(subject, ""))), [
          `publish ${subject}`
        ])
    }).pipe(Effect.scoped),
  60_000
)
