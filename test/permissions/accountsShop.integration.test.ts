import { assert, it } from "@effect/vitest"
import { OrderId, Orders } from "@shop/orders"
import { ask } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Accounts from "./src/accounts.ts"
import * as Shop from "./src/shop.ts"

it.live(
  "the shop runs with an account for each service, and goes on with renewed credentials when they expire or are revoked",
  () =>
    Effect.gen(function* () {
      const accounts = yield* Accounts.world
      const databases = yield* Effect.forEach(Shop.services, Shop.database)
      const renew = Effect.fnUntraced(function* (account: (typeof Shop.services)[number], lives = 300_000) {
        const creds = yield* Effect.promise(() => accounts.creds(account, { expires: Date.now() + lives }))
        return Accounts.write(accounts, `${account}.creds`, creds)
      })
      const hosts = yield* Effect.forEach(
        Shop.services,
        Effect.fnUntraced(function* (service, i) {
          return yield* Shop.host(service, {
            NATS_URL: accounts.server.url,
            NATS_CREDS: yield* renew(service),
            DATABASE_URL: databases[i]?.url ?? "",
            TROUPE_HTTP_PORT: "0"
          })
        }),
        { concurrency: 3 }
      )
      const asCustomers = (creds: string) => client({ servers: `127.0.0.1:${accounts.server.port}`, creds })
      const customers = asCustomers(
        yield* Effect.promise(() => accounts.creds("customers", { expires: Date.now() + 300_000 }))
      )
      const place = (id: string) =>
        ask(
          Orders.Order.at(OrderId.make(id)).place({
            customer: "ada",
            lines: [{ sku: "tea", quantity: 2, cents: 450 }]
          }),
          { timeout: "20 seconds" }
        ).pipe(Effect.provide(customers))
      const steps = (id: string) =>
        until(
          () => databases[0]!.owner.unsafe("select step from app.journal where order_id = $1 order by step", [id]),
          (rows) => rows.length === 3
        )

      assert.strictEqual((yield* place("o-1")).cents, 900)
      // Commands went to payments and shipping, and events of all three were read, each in another account.
      assert.deepStrictEqual(
        (yield* steps("o-1")).map((row) => row["step"]),
        ["orders.Order.placed", "payments.Payment.authorized", "shipping.Shipment.dispatched"]
      )
      assert.notMatch(Accounts.logOf(accounts), /violation/i)
      for (const said of hosts) assert.notMatch(said(), /permission|denied|violation/i)

      const payments = hosts[1]!
      yield* Effect.promise(() => accounts.revoke("payments"))
      const second = () => Math.floor(Date.now() / 1_000)
      const revoked = second()
      yield* until(
        async () => payments(),
        (said) => /TRP0412 .*were revoked/.test(said)
      )
      // One that is made in the same second would be refused with the others.
      yield* until(
        async () => second(),
        (now) => now > revoked
      )
      yield* renew("payments", 4_000)
      yield* until(
        async () => payments(),
        (said) => /TRP0412 .*expired at 20/.test(said)
      )
      yield* place("o-2")
      yield* renew("payments")
      yield* steps("o-2")
      assert.strictEqual(payments().split("TRP0412").length - 1, 2, payments())

      const old = asCustomers(yield* Effect.promise(() => accounts.creds("customers", { expires: Date.now() - 2_000 })))
      const refused = yield* Effect.flip(Effect.provide(ask(Orders.Order.at(OrderId.make("o-1")).status()), old))
      assert.match(String(refused), /TRP0412/)
    }).pipe(Effect.scoped),
  120_000
)
