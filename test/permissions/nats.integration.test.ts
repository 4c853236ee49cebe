import { AckPolicy, DeliverPolicy, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { headers, type NatsConnection } from "@nats-io/nats-core"
import { assert, describe, it } from "@effect/vitest"
import { Envelope } from "@troupe/contract"
import { Nats, Topology } from "@troupe/nats"
import { until } from "@troupe/test-world"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { areForgotten } from "./src/durables.ts"
import * as Guarded from "./src/guarded.ts"
import { publishes, subscribes } from "./src/rows.ts"

interface Users {
  readonly operator: JetStreamManager
  readonly orders: NatsConnection
  readonly payments: NatsConnection
  readonly shipping: NatsConnection
  readonly customers: NatsConnection
  readonly gateway: NatsConnection
  /** As `Topology` and `Nats` use it. */
  readonly asShipping: Parameters<typeof Nats.layer>[0]
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
      customers: yield* Guarded.login(server, "customers"),
      gateway: yield* Guarded.login(server, "gateway"),
      asShipping: { url: Redacted.make(Guarded.urlOf(server, "shipping")), inboxPrefix: "_INBOX.shipping" }
    })
  })
)

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

describe("the users of the committed policy", () => {
  it.layer(world, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      ...test("a service that publishes a foreign event is refused by NATS itself", async (users) => {
        const event = "evt.payments.Payment.authorized.k"
        const refused = await Guarded.refusals(users.orders, () =>
          users.orders.publish(event, "{}", { headers: Guarded.forged(), reply: "_INBOX.orders.a.b" })
        )
        assert.deepStrictEqual(refused, [`publish ${event}`])
        assert.strictEqual(await messages(users, "EVT_payments"), 0)
        // The same from who may say it.
        users.payments.publish(event, "{}", { headers: Guarded.forged() })
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

    for (const [user, stream, filter] of [
      ["gateway", "EVT_orders", "evt.orders.*.Order.>"],
      ["shipping", "EVT_payments", "evt.payments.*.Payment.>"]
    ] as const) {
      it.effect(
        ...test(`a durable consumer that ${user} makes on ${stream} is deleted after 5 minutes without use`, (users) =>
          areForgotten(users[user], { prefix: "$JS.API", stream, filter }))
      )
    }

    it.effect(
      ...test("a service that may not change its stream says that the stream keeps idle consumers", async (users) => {
        const name = "EVT_shipping"
        const { consumer_limits: limits } = (await users.operator.streams.info(name)).config
        await users.operator.streams.update(name, { consumer_limits: {} })
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const layers = Layer.mergeAll(Nats.layer(users.asShipping), Logger.layer([logger]))
        await Effect.runPromise(
          Effect.provide(Topology.ensure("evt", "shipping", { ...Topology.limits, maxBytes: 1024 ** 2 }), layers)
        )
        assert.isTrue(
          lines.some((line) => line.startsWith("TRP0422 ") && line.includes(name)),
          lines.join("\n")
        )
        await users.operator.streams.update(name, { consumer_limits: limits ?? {} })
      })
    )

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
        const said = Guarded.forged()
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
              headers: subject.startsWith("evt") ? Guarded.forged() : headers(),
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
        users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
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

    for (const target of [
      "evt.payments.Payment.authorized.k",
      "cmd.payments.Payment.refund.k",
      "$JS.API.STREAM.PURGE.EVT_payments"
    ]) {
      it.effect(
        ...test(`a consumer that is to push to ${target} delivers nothing: neither a stream nor the API listens for that`, async (users) => {
          const state = () => Promise.all(["EVT_payments", "CMD_payments"].map((stream) => messages(users, stream)))
          users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
          const jsm = await jetstreamManager(users.orders, { checkAPI: false })
          const before = await state()
          await jsm.consumers.add("EVT_orders", {
            name: "push",
            deliver_subject: target,
            ack_policy: AckPolicy.None,
            deliver_policy: DeliverPolicy.Last,
            filter_subject: "evt.orders.*.Order.>"
          })
          // What comes later wakes a consumer that has somebody to deliver to.
          const events = await messages(users, "EVT_orders")
          users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
          await grown(users, "EVT_orders", events)
          const { delivered, num_pending: pending } = await users.operator.consumers.info("EVT_orders", "push")
          await users.operator.consumers.delete("EVT_orders", "push")
          assert.deepStrictEqual({ delivered: delivered.consumer_seq, pending }, { delivered: 0, pending: 2 })
          assert.deepStrictEqual(await state(), before)
        })
      )
    }

    for (const [target, body] of [
      ["$JS.API.STREAM.PURGE.EVT_payments", "{}"],
      ["$JS.API.STREAM.DELETE.EVT_payments", ""],
      ["$JS.API.STREAM.CREATE.EVIL", `{"name":"EVIL","subjects":["evil"]}`]
    ] as const) {
      it.effect(
        ...test(`a reply subject asks nothing of JetStream: not ${target}, by a publish nor by a pull`, async (users) => {
          const streams = async () => (await users.operator.streams.names().next()).sort()
          const before = [await streams(), await messages(users, "EVT_payments")]
          const stored = await messages(users, "EVT_orders")
          users.orders.publish("evt.orders.Order.placed.k", body, { headers: Guarded.forged(), reply: target })
          await grown(users, "EVT_orders", stored)
          const jsm = await jetstreamManager(users.orders, { checkAPI: false })
          await jsm.consumers.add("EVT_orders", {
            name: "asking",
            ack_policy: AckPolicy.None,
            deliver_policy: DeliverPolicy.Last,
            filter_subject: "evt.orders.*.Order.>"
          })
          users.orders.publish("$JS.API.CONSUMER.MSG.NEXT.EVT_orders.asking", "1", { reply: target })
          await Effect.runPromise(
            until(
              () => users.operator.consumers.info("EVT_orders", "asking"),
              ({ delivered }) => delivered.consumer_seq === 1
            )
          )
          await users.operator.consumers.delete("EVT_orders", "asking")
          assert.deepStrictEqual([await streams(), await messages(users, "EVT_payments")], before)
        })
      )
    }

    it.effect(
      ...test("one account cannot prevent: who sends commands to a service may read those of others, one by one", async (users) => {
        const before = await messages(users, "CMD_payments")
        users.payments.publish("cmd.payments.Payment.authorize.secret", "{}", { headers: Guarded.forged() })
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
        users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
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
