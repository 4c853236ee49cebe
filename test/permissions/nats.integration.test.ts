import { AckPolicy, DeliverPolicy, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core"
import { assert, describe, it } from "@effect/vitest"
import { Envelope } from "@troupe/contract"
import { Nats, Topology } from "@troupe/nats"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Guarded from "./src/guarded.ts"

interface Users {
  readonly operator: JetStreamManager
  readonly orders: NatsConnection
  readonly payments: NatsConnection
  readonly shipping: NatsConnection
  readonly customers: NatsConnection
}
class World extends Context.Service<World, Users>()("test/World") {}

/** The users of the shop, and the streams of its services, each made by its own user. Nothing runs. */
const world = Layer.effect(
  World,
  Effect.gen(function* () {
    const server = yield* Guarded.server
    for (const service of ["orders", "payments", "shipping"] as const) {
      const url = Redacted.make(Guarded.urlOf(server, service))
      const made = Effect.forEach(["cmd", "evt"] as const, (kind) =>
        Topology.ensure(kind, service, { ...Topology.limits, maxBytes: 1024 ** 2 })
      )
      yield* Effect.provide(made, Nats.layer({ url, inboxPrefix: `_INBOX.${service}` }))
    }
    const operator = yield* Guarded.login(server, "OPERATOR")
    return World.of({
      operator: yield* Effect.promise(() => jetstreamManager(operator)),
      orders: yield* Guarded.login(server, "orders"),
      payments: yield* Guarded.login(server, "payments"),
      shipping: yield* Guarded.login(server, "shipping"),
      customers: yield* Guarded.login(server, "customers")
    })
  })
)

/** An envelope that says it is of payments. */
const forged = (): MsgHdrs => {
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

const messages = async ({ operator }: Users, stream: string): Promise<number> =>
  (await operator.streams.info(stream)).state.messages

const last = async ({ operator }: Users, stream: string) => {
  const { state } = await operator.streams.info(stream)
  const found = await operator.streams.getMessage(stream, { seq: state.last_seq })
  if (found === null) throw new Error(`${stream} is empty`)
  return found
}

/** Looks until the stream has more than `before`. */
const grown = async (users: Users, stream: string, before: number): Promise<void> => {
  while ((await messages(users, stream)) === before) await new Promise((resolve) => setTimeout(resolve, 10))
}

const test = (name: string, run: (users: Users) => Promise<void>) =>
  [name, () => Effect.flatMap(World, (users) => Effect.promise(() => run(users)))] as const

/** What may be published, and what not: for each row the user, the subject, and the same of what is refused. */
const publishes: ReadonlyArray<
  readonly [
    row: string,
    user: Exclude<keyof Users, "operator">,
    allowed: string | undefined,
    refused: ReadonlyArray<string>
  ]
> = [
  [
    "own events",
    "orders",
    "evt.orders.Order.placed.k",
    [
      "evt.orders.Order.unheardOf.k",
      "evt.orders.Other.placed.k",
      "evt.orders.Order.placed.k.k",
      "evt.orders.3.Order.placed.k"
    ]
  ],
  [
    "declared commands",
    "orders",
    "cmd.payments.Payment.authorize.k",
    ["cmd.payments.Payment.refund.k", "cmd.shipping.Shipment.dispatch.k"]
  ],
  ["commands to itself", "orders", "cmd.orders.Order.cancel.k", ["cmd.orders.Order.unheardOf.k"]],
  ["commands of a subscriber", "shipping", "cmd.orders.Order.settle.k", ["cmd.payments.Payment.authorize.k"]],
  [
    "commands of a caller",
    "customers",
    "cmd.orders.Order.place.k",
    ["cmd.orders.Order.cancel.k", "evt.orders.Order.placed.k", "$JS.API.STREAM.INFO.EVT_orders"]
  ],
  [
    "reading events by one filter",
    "shipping",
    "$JS.API.CONSUMER.CREATE.EVT_payments.c.evt.payments.3.Payment.>",
    [
      "$JS.API.CONSUMER.CREATE.EVT_payments.c",
      "$JS.API.CONSUMER.CREATE.EVT_payments",
      "$JS.API.CONSUMER.CREATE.EVT_payments.c.evt.payments.3.Other.>",
      "$JS.API.CONSUMER.DURABLE.CREATE.EVT_payments.c"
    ]
  ],
  [
    "reading its own commands",
    "orders",
    "$JS.API.CONSUMER.CREATE.CMD_orders.c.cmd.orders.3.Order.>",
    ["$JS.API.CONSUMER.CREATE.CMD_payments.c.cmd.payments.3.Payment.>", "$JS.API.CONSUMER.MSG.NEXT.CMD_payments.c"]
  ],
  [
    "reading what it does not listen to",
    "payments",
    undefined,
    [
      "$JS.API.CONSUMER.CREATE.EVT_orders.c.evt.orders.3.Order.>",
      "$JS.API.CONSUMER.MSG.NEXT.EVT_orders.c",
      "$JS.API.STREAM.MSG.GET.EVT_orders"
    ]
  ],
  [
    "its consumers",
    "orders",
    "$JS.API.CONSUMER.MSG.NEXT.EVT_payments.c",
    ["$JS.API.CONSUMER.PAUSE.EVT_payments.c", "$JS.API.CONSUMER.LIST.EVT_payments", "$JS.ACK.EVT_payments.c.1.1.1.1.1"]
  ],
  [
    "keeping its streams",
    "orders",
    "$JS.API.STREAM.PURGE.CMD_orders",
    [
      "$JS.API.STREAM.PURGE.EVT_orders",
      "$JS.API.STREAM.DELETE.CMD_orders",
      "$JS.API.STREAM.UPDATE.CMD_orders",
      "$JS.API.STREAM.MSG.DELETE.CMD_orders",
      "$JS.API.STREAM.PURGE.CMD_payments",
      "$JS.API.STREAM.CREATE.EVT_payments",
      "$JS.API.STREAM.CREATE.OTHER"
    ]
  ],
  ["replies", "orders", "_INBOX.customers.a.b", ["_INBOX.customers", "svc.orders.ask", "svc.orders.caught.overview.3"]],
  ["waiting for a subscriber", "customers", undefined, ["svc.orders.caught.overview.3", "svc.orders.ask"]],
  ["replies of a caller", "customers", undefined, ["_INBOX.orders.a.b"]],
  [
    "KV, which nobody needs",
    "orders",
    undefined,
    [
      "$KV.b.k",
      "$JS.API.DIRECT.GET.KV_b.$KV.b.k",
      "$JS.API.CONSUMER.CREATE.KV_b.c.$KV.b.>",
      "$JS.FC.KV_b.x",
      "$JS.API.DIRECT.GET.EVT_orders"
    ]
  ],
  ["the server", "orders", undefined, ["$SYS.REQ.SERVER.PING", "$SRV.PING", "anything"]]
]
const subscribes: ReadonlyArray<
  readonly [user: Exclude<keyof Users, "operator">, allowed: ReadonlyArray<string>, refused: ReadonlyArray<string>]
> = [
  [
    "orders",
    ["_INBOX.orders.>", "_INBOX.orders.a.*", "svc.orders.caught.overview.3"],
    [
      "_INBOX.>",
      "_INBOX.customers.>",
      "_INBOX.*.a",
      "evt.orders.>",
      "evt.>",
      "cmd.orders.>",
      "svc.orders.>",
      "svc.orders.caught.>",
      "svc.orders.caught.other.3",
      "svc.shipping.caught.fulfilment.3",
      "$JS.>",
      ">"
    ]
  ],
  [
    "customers",
    ["_INBOX.customers.a.*"],
    ["_INBOX.orders.>", "_INBOX.>", "evt.orders.>", "svc.orders.caught.overview.*", ">"]
  ]
]

describe("the users of the committed policy", () => {
  it.layer(world, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      ...test("a service that publishes a foreign event is refused by NATS itself", async (users) => {
        const event = "evt.payments.Payment.authorized.k"
        const refused = await Guarded.refusals(users.orders, () =>
          users.orders.publish(event, "{}", { headers: forged(), reply: "_INBOX.orders.a.b" })
        )
        assert.deepStrictEqual(refused, [`publish ${event}`])
        assert.strictEqual(await messages(users, "EVT_payments"), 0)
        // The same from who may say it.
        users.payments.publish(event, "{}", { headers: forged() })
        await grown(users, "EVT_payments", 0)
      })
    )

    for (const [row, user, allowed, refused] of publishes) {
      it.effect(
        ...test(`${user} publishes: ${row}`, async (users) => {
          const nc = users[user]
          if (allowed !== undefined)
            assert.deepStrictEqual(await Guarded.refusals(nc, () => nc.publish(allowed, "")), [], allowed)
          for (const subject of refused)
            assert.deepStrictEqual(await Guarded.refusals(nc, () => nc.publish(subject, "")), [`publish ${subject}`])
        })
      )
    }

    for (const [user, allowed, refused] of subscribes) {
      it.effect(
        ...test(`${user} hears its own inbox, who waits for its subscribers, and nothing else`, async (users) => {
          const nc = users[user]
          for (const subject of allowed)
            assert.deepStrictEqual(await Guarded.refusals(nc, () => void nc.subscribe(subject)), [], subject)
          for (const subject of refused) {
            const hear = () => void nc.subscribe(subject, { callback: () => {} })
            assert.deepStrictEqual(await Guarded.refusals(nc, hear), [`subscription ${subject}`])
          }
        })
      )
    }

    it.effect(
      ...test("a stream that is there keeps its shape, whatever its service asks for", async (users) => {
        const before = (await users.operator.streams.info("EVT_orders")).config
        const asked = JSON.stringify({ ...before, max_msgs: 1 })
        const answer = (await users.orders.request("$JS.API.STREAM.CREATE.EVT_orders", asked)).json<{
          error?: { err_code: number }
        }>()
        assert.strictEqual(answer.error?.err_code, 10058)
        assert.deepStrictEqual((await users.operator.streams.info("EVT_orders")).config, before)
      })
    )

    it.effect(
      ...test("a schedule that points at a foreign event is refused: no stream of ours takes schedules", async (users) => {
        const before = await messages(users, "EVT_payments")
        const said = forged()
        said.set("Nats-Schedule", "@at 2020-01-01T00:00:00Z")
        said.set("Nats-Schedule-Target", "evt.payments.Payment.authorized.k")
        const answer = (
          await users.orders.request("evt.orders.Order.placed.k", "{}", { headers: said, timeout: 5_000 })
        ).json<{ error?: { err_code: number } }>()
        assert.strictEqual(answer.error?.err_code, 10188)
        assert.strictEqual(await messages(users, "EVT_payments"), before)
      })
    )

    for (const [what, subject, body] of [
      ["an answer to a publish", "evt.orders.Order.placed.k", "{}"],
      ["an answer of JetStream", "$JS.API.STREAM.INFO.EVT_orders", ""],
      ["a message got by its number", "$JS.API.STREAM.MSG.GET.EVT_orders", `{"seq":1}`]
    ] as const) {
      it.effect(
        ...test(`one account cannot prevent: ${what} lands in a foreign stream by its reply subject, but no reader takes it for an event`, async (users) => {
          const before = await messages(users, "EVT_payments")
          const refused = await Guarded.refusals(users.orders, () =>
            users.orders.publish(subject, body, {
              headers: subject.startsWith("evt") ? forged() : headers(),
              reply: "evt.payments.Payment.authorized.k"
            })
          )
          assert.deepStrictEqual(refused, [])
          await grown(users, "EVT_payments", before)
          const { header } = await last(users, "EVT_payments")
          assert.property(
            Envelope.fromHeaders((name) => header.get(name)),
            "why"
          )
        })
      )
    }

    it.effect(
      ...test("one account cannot prevent: a message of its own lands in a foreign stream by the reply subject of a pull, but under its own subject, which no reader there filters for", async (users) => {
        users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: forged() })
        const jsm = await jetstreamManager(users.orders)
        await jsm.consumers.add("EVT_orders", {
          name: "pull",
          ack_policy: AckPolicy.None,
          deliver_policy: DeliverPolicy.Last,
          filter_subject: "evt.orders.*.Order.>"
        })
        const before = await messages(users, "EVT_payments")
        const reply = "evt.payments.Payment.authorized.k"
        const act = () => users.orders.publish("$JS.API.CONSUMER.MSG.NEXT.EVT_orders.pull", "1", { reply })
        assert.deepStrictEqual(await Guarded.refusals(users.orders, act), [])
        await grown(users, "EVT_payments", before)
        const { header, subject } = await last(users, "EVT_payments")
        assert.notProperty(
          Envelope.fromHeaders((name) => header.get(name)),
          "why"
        )
        assert.match(subject, /^evt\.orders\./)
      })
    )

    it.effect(
      ...test("one account cannot prevent: who sends commands to a service may read those of others, one by one", async (users) => {
        const before = await messages(users, "CMD_payments")
        users.payments.publish("cmd.payments.Payment.authorize.secret", "{}", { headers: forged() })
        await grown(users, "CMD_payments", before)
        const { seq } = await last(users, "CMD_payments")
        const jsm = await jetstreamManager(users.orders)
        assert.include((await jsm.streams.getMessage("CMD_payments", { seq }))?.subject, ".secret")
      })
    )

    it.effect(
      ...test("one account cannot prevent: who may make a stream that is not there lets it republish to a foreign stream, but no reader takes that for an event", async (users) => {
        const { config } = await users.operator.streams.info("EVT_orders")
        await users.operator.streams.delete("EVT_orders")
        const { name, subjects } = config
        const republish = { src: "evt.orders.*.*.*", dest: "evt.payments.Payment.authorized.{{wildcard(3)}}" }
        const asked = JSON.stringify({ name, subjects, republish })
        const answer = (await users.orders.request("$JS.API.STREAM.CREATE.EVT_orders", asked)).json<{
          error?: unknown
        }>()
        assert.isUndefined(answer.error)
        const before = await messages(users, "EVT_payments")
        users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: forged() })
        await grown(users, "EVT_payments", before)
        // Republished messages say where they come from: the readers refuse that header.
        const { header } = await last(users, "EVT_payments")
        assert.deepStrictEqual(header.get("Nats-Stream"), "EVT_orders")
        assert.property(
          Envelope.fromHeaders((name) => header.get(name)),
          "why"
        )
      })
    )
  })
})
