import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream"
import { credsAuthenticator, errors, headers, type NatsConnection } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { assert, describe, it } from "@effect/vitest"
import { Account, Envelope } from "@troupe/contract"
import { Nats, Topology } from "@troupe/nats"
import { until } from "@troupe/test-world"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Accounts from "./src/accounts.ts"
import { areForgotten } from "./src/durables.ts"
import * as Guarded from "./src/guarded.ts"
import { type Program, publishes, subscribes } from "./src/rows.ts"

type Users = { readonly [P in Program]: NatsConnection } & {
  /** Of the account payments, with every right in it. */
  readonly payer: JetStreamManager
  /** Of the account orders: an intruder who has taken all of that service, and more. */
  readonly intruder: NatsConnection
}
class World extends Context.Service<World, Users>()("test/World") {}

/** The programs of the shop, each in its account, and the streams of its services, each made by its own user. Nothing runs. */
const world = Layer.effect(
  World,
  Effect.gen(function* () {
    const accounts = yield* Accounts.world
    for (const service of ["orders", "payments", "shipping"] as const) {
      const creds = Accounts.write(accounts, `${service}.creds`, yield* Effect.promise(() => accounts.creds(service)))
      const made = Effect.andThen(
        Effect.forEach(["cmd", "evt"] as const, (kind) =>
          Topology.ensure(kind, service, { ...Topology.limits, maxBytes: 1024 ** 2 })
        ),
        Topology.ensurePlaces(service, 1)
      )
      const url = Redacted.make(accounts.server.url)
      yield* Effect.provide(made, Nats.layer({ url, creds, inboxPrefix: `_INBOX.${service}` }))
    }
    const payer = yield* Accounts.login(accounts, "payments", true)
    return World.of({
      payer: yield* Effect.promise(() => jetstreamManager(payer)),
      intruder: yield* Accounts.login(accounts, "orders", true),
      orders: yield* Accounts.login(accounts, "orders"),
      payments: yield* Accounts.login(accounts, "payments"),
      shipping: yield* Accounts.login(accounts, "shipping"),
      customers: yield* Accounts.login(accounts, "customers"),
      gateway: yield* Accounts.login(accounts, "gateway")
    })
  })
)

const test = (name: string, run: (users: Users) => Promise<void>) =>
  [name, () => Effect.flatMap(World, (users) => Effect.promise(() => run(users)))] as const

/** The subject of a row as the program's account calls it. */
const named = (account: Program, subject: string): string => {
  const [, stream = `EVT_${account}`] = /^\$JS\.API\..*?((?:EVT|CMD)_(?:orders|payments|shipping))/.exec(subject) ?? []
  return subject.replace("$JS.API", () => Account.api(account, stream))
}

const event = "evt.payments.Payment.authorized.k"
const messages = async ({ payer }: Users): Promise<ReadonlyArray<number>> => {
  const infos = await Promise.all(["EVT_payments", "CMD_payments"].map((stream) => payer.streams.info(stream)))
  return infos.map(({ state }) => state.messages)
}

/** Does it, and hears in the account of orders that the server did what it was to do: so it was heard, and nowhere else. */
const heardAtHome = async (users: Users, subject: string, act: () => void): Promise<void> => {
  let heard = 0
  const hearing = users.intruder.subscribe(subject, { callback: () => void heard++ })
  await users.intruder.flush()
  act()
  await Effect.runPromise(
    until(
      async () => heard,
      (count) => count > 0
    )
  )
  hearing.unsubscribe()
}

/** What was sent before has arrived, if it ever does: orders and payments have talked since. */
const settled = async ({ orders, payments }: Users): Promise<void> => {
  await orders.flush()
  await orders.request("JS.payments.API.STREAM.INFO.EVT_payments", "", { timeout: 5_000 })
  await payments.flush()
}

describe("the accounts of the committed policy", () => {
  it.layer(world, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      ...test("a service that publishes a foreign event is refused by NATS itself", async (users) => {
        const refused = await Guarded.refusals(users.orders, () =>
          users.orders.publish(event, "{}", { headers: Guarded.forged() })
        )
        assert.deepStrictEqual(refused, [`publish ${event}`])
        // One who may publish everything in the account of orders does not leave it.
        await heardAtHome(users, event, () => users.intruder.publish(event, "{}", { headers: Guarded.forged() }))
        await settled(users)
        assert.deepStrictEqual(await messages(users), [0, 0])
        // The same from who may say it.
        users.payments.publish(event, "{}", { headers: Guarded.forged() })
        await Effect.runPromise(
          until(
            () => messages(users),
            ([events]) => events === 1
          )
        )
      })
    )

    for (const [row, user, allowed, refused] of publishes) {
      it.effect(
        ...test(`${user} publishes: ${row}`, async (users) => {
          const nc = users[user]
          if (allowed !== undefined) {
            const subject = named(user, allowed)
            assert.deepStrictEqual(await Guarded.refusals(nc, () => nc.publish(subject, "")), [], subject)
          }
          for (const one of refused)
            for (const subject of new Set([one, named(user, one)]))
              assert.deepStrictEqual(await Guarded.refusals(nc, () => nc.publish(subject, "")), [`publish ${subject}`])
        })
      )
    }

    for (const [user, allowed, refused] of subscribes) {
      it.effect(
        ...test(`${user} hears its own inbox and nothing else`, async (users) => {
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
          areForgotten(users[user], { prefix: Account.api(user, stream), stream, filter }))
      )
    }

    it.effect(
      ...test("a declared command reaches the stream of another account, and is acknowledged to who sent it", async (users) => {
        const [, before = 0] = await messages(users)
        const ack = await users.orders.request("cmd.payments.Payment.authorize.k", "{}", {
          headers: Guarded.forged(),
          timeout: 5_000
        })
        assert.strictEqual(ack.json<{ stream: string }>().stream, "CMD_payments")
        assert.strictEqual((await messages(users))[1], before + 1)
      })
    )

    for (const [what, subject, body] of [
      ["a publish of its own", "evt.orders.Order.placed.k", "{}"],
      ["its own JetStream", "$JS.API.STREAM.INFO.EVT_orders", ""],
      ["a message got by its number, its own", "$JS.API.STREAM.MSG.GET.EVT_orders", `{"seq":1}`],
      ["a command to another account", "cmd.payments.Payment.authorize.k", "{}"],
      ["the JetStream of another account", "JS.payments.API.STREAM.INFO.EVT_payments", ""],
      ["a message got by its number, another's", "JS.payments.API.STREAM.MSG.GET.EVT_payments", `{"seq":1}`]
    ] as const) {
      it.effect(
        ...test(`a reply subject forges no event: the answer to ${what} stays in the account`, async (users) => {
          const [before] = await messages(users)
          await heardAtHome(users, event, () =>
            users.orders.publish(subject, body, { headers: Guarded.forged(), reply: event })
          )
          await settled(users)
          assert.strictEqual((await messages(users))[0], before)
        })
      )
    }

    it.effect(
      ...test("a pull forges no event: what it delivers to a foreign subject stays in the account", async (users) => {
        const [before] = await messages(users)
        for (const [prefix, stream] of [
          ["$JS.API", "orders"],
          ["JS.payments.API", "payments"]
        ] as const) {
          if (stream === "orders")
            users.orders.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
          const jsm = await jetstreamManager(users.orders, { apiPrefix: prefix, checkAPI: false })
          await jsm.consumers.add(`EVT_${stream}`, {
            name: "pull",
            ack_policy: AckPolicy.None,
            deliver_policy: DeliverPolicy.Last,
            filter_subject: stream === "orders" ? "evt.orders.*.Order.>" : "evt.payments.*.Payment.>"
          })
          await heardAtHome(users, event, () =>
            users.orders.publish(`${prefix}.CONSUMER.MSG.NEXT.EVT_${stream}.pull`, "1", { reply: event })
          )
        }
        await settled(users)
        assert.strictEqual((await messages(users))[0], before)
      })
    )

    for (const target of [event, "cmd.payments.Payment.refund.k", "$JS.API.STREAM.PURGE.EVT_payments"]) {
      it.effect(
        ...test(`a consumer that is to push to ${target} in another account delivers nothing`, async (users) => {
          const jsm = await jetstreamManager(users.orders, { apiPrefix: "JS.payments.API", checkAPI: false })
          const filter = "evt.payments.*.Payment.>"
          const added = await jsm.consumers
            .add("EVT_payments", {
              name: "push",
              deliver_subject: target,
              ack_policy: AckPolicy.None,
              deliver_policy: DeliverPolicy.All,
              filter_subject: filter
            })
            .then(
              () => "added",
              (cause: unknown) => String(cause)
            )
          const before = await messages(users)
          if (target === event) return assert.match(added, /forms a cycle/)
          assert.strictEqual(added, "added")
          users.payments.publish(event, "{}", { headers: Guarded.forged() })
          await Effect.runPromise(
            until(
              () => messages(users),
              ([events]) => events === before[0]! + 1
            )
          )
          // It has everything to deliver, and nobody subscribes there: a stream does not count, nor does the API.
          const { delivered, num_pending: pending } = await users.payer.consumers.info("EVT_payments", "push")
          assert.deepInclude({ delivered: delivered.consumer_seq, pending }, { delivered: 0, pending: before[0]! + 1 })
          await users.payer.consumers.delete("EVT_payments", "push")
          assert.strictEqual((await messages(users))[1], before[1])
        })
      )
    }

    it.effect(
      ...test("accounts cannot prevent: who reads events has them pushed to where a program of that account listens, and nothing else", async (users) => {
        const heard: Array<string> = []
        const target = "_INBOX.payments.known"
        const hearing = users.payments.subscribe(target, { callback: (_, msg) => void heard.push(msg.subject) })
        await users.payments.flush()
        // It may not say it itself: orders imports no inbox, and payments publishes events only.
        const jsm = await jetstreamManager(users.orders, { apiPrefix: "JS.payments.API", checkAPI: false })
        const filter = "evt.payments.*.Payment.>"
        await jsm.consumers.add("EVT_payments", {
          name: "known",
          deliver_subject: target,
          ack_policy: AckPolicy.None,
          deliver_policy: DeliverPolicy.New,
          filter_subject: filter
        })
        users.orders.publish(target, "forged")
        users.payments.publish(event, "{}", { headers: Guarded.forged() })
        await Effect.runPromise(
          until(
            async () => heard,
            (heard) => heard.length > 0
          )
        )
        await settled(users)
        assert.lengthOf(heard, 1)
        assert.match(heard[0] ?? "", /^evt\.payments\.\d+\.Payment\.authorized\.k$/)
        hearing.unsubscribe()
        await users.payer.consumers.delete("EVT_payments", "known")
      })
    )

    it.effect(
      ...test("a schedule that points at a foreign event is refused: no stream of ours takes schedules", async (users) => {
        const before = await messages(users)
        const said = Guarded.forged()
        said.set("Nats-Schedule", "@at 2020-01-01T00:00:00Z")
        said.set("Nats-Schedule-Target", event)
        const answer = (
          await users.orders.request("evt.orders.Order.placed.k", "{}", { headers: said, timeout: 5_000 })
        ).json<{ error?: { err_code: number } }>()
        assert.strictEqual(answer.error?.err_code, 10188)
        await settled(users)
        assert.deepStrictEqual(await messages(users), before)
      })
    )

    it.effect(
      ...test("whoever has all rights in the account of orders, and shapes its streams, forges nothing in another account", async (users) => {
        const before = await messages(users)
        const home = await jetstreamManager(users.intruder)
        await home.streams.delete("EVT_orders")
        await home.streams.add({
          name: "EVT_orders",
          subjects: ["evt.orders.*.*.*"],
          max_bytes: 1024 ** 2,
          allow_direct: true,
          republish: { src: "evt.orders.*.*.*", dest: "evt.payments.Payment.authorized.{{wildcard(3)}}" }
        })
        await heardAtHome(users, event, () =>
          users.intruder.publish("evt.orders.Order.placed.k", "{}", { headers: Guarded.forged() })
        )
        // What one account could not prevent: a message that is got directly lands where its reply subject points.
        await heardAtHome(users, event, () =>
          users.intruder.publish("$JS.API.DIRECT.GET.EVT_orders", `{"seq":1}`, { reply: event, headers: headers() })
        )
        await settled(users)
        assert.deepStrictEqual(await messages(users), before)
        const another = await home.streams.add({ name: "KV_b", subjects: ["$KV.b.>"] }).then(
          () => "added",
          (cause: unknown) => String(cause)
        )
        assert.match(another, /maximum number of streams/)
      })
    )

    it.effect(
      ...test("accounts cannot prevent: who sends commands to a service may read those of others, one by one", async (users) => {
        const ack = await users.shipping.request("cmd.orders.Order.settle.secret", "{}", {
          headers: Guarded.forged(),
          timeout: 5_000
        })
        const { seq } = ack.json<{ seq: number }>()
        const jsm = await jetstreamManager(users.shipping, { apiPrefix: "JS.orders.API", checkAPI: false })
        const found = await jsm.streams.getMessage("CMD_orders", { seq })
        assert.include(found?.subject, ".secret")
        assert.notProperty(
          Envelope.fromHeaders((name) => found?.header.get(name)),
          "why"
        )
      })
    )
  })
})

describe("credentials", () => {
  it.live("are refused that expired, or that the keys of another account signed, of its operator too", () =>
    Effect.gen(function* () {
      const world = yield* Accounts.world
      const answer = Effect.fnUntraced(function* (creds: string) {
        const authenticator = credsAuthenticator(new TextEncoder().encode(creds))
        const servers = `127.0.0.1:${world.server.port}`
        return yield* Effect.promise(() =>
          connect({ servers, authenticator, reconnect: false }).then(
            (nc) => nc.close().then(() => "connected"),
            (cause: unknown) => (cause instanceof errors.AuthorizationError ? "refused" : String(cause))
          )
        )
      })
      const creds = (options: Parameters<typeof world.creds>[1]) =>
        Effect.flatMap(
          Effect.promise(() => world.creds("payments", options)),
          answer
        )
      assert.strictEqual(yield* creds({}), "connected")
      assert.strictEqual(yield* creds({ expires: Date.now() - 2_000 }), "refused")
      assert.strictEqual(yield* creds({ by: "orders" }), "refused")
      assert.strictEqual(yield* creds({ by: "orders", operator: true }), "refused")
    }).pipe(Effect.scoped)
  )
})
