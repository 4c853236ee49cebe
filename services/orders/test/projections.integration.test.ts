import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { OrderId, Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Db, Migrations, Sql } from "@troupe/postgres"
import { given } from "@troupe/testing"
import { eq } from "drizzle-orm"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { journal } from "../src/journal.ts"
import { overview } from "../src/overview.ts"
import * as Table from "../src/tables.ts"

/** The service's database, dropped at the end. */
const database = Layer.unwrap(
  Effect.gen(function* () {
    const server = yield* Config.Redacted("DATABASE_URL")
    const name = `orders_${crypto.randomUUID().replaceAll("-", "")}`
    const own = new URL(Redacted.value(server))
    own.pathname = `/${name}`
    const url = Redacted.make(own.href)
    const admin = (statement: string) =>
      Effect.flatMap(Sql, (sql) => Effect.promise(() => sql.unsafe(statement))).pipe(
        Effect.provide(Sql.layer({ url: server, max: 1 })),
        Effect.orDie
      )
    yield* Effect.acquireRelease(admin(`create database ${name}`), () => admin(`drop database ${name} with (force)`))
    yield* Migrations.run({ url, folder: fileURLToPath(new URL("../migrations", import.meta.url)) })
    return Db.layer({ url, max: 1 })
  })
)

const events = {
  placed: (id: OrderId) => Orders.Order.events.placed.from(id, { cents: 900, currency: "EUR", customer: "ada" }),
  cancelled: (id: OrderId) => Orders.Order.events.cancelled.from(id, { reason: "too dear" }),
  authorized: (id: OrderId) => Payments.Payment.events.authorized.from(id, { cents: 900 }),
  dispatched: (id: OrderId) => Shipping.Shipment.events.dispatched.from(id, { carrier: "post" })
}

describe("the projections of the orders service", () => {
  it.layer(database, { timeout: "60 seconds" })((it) => {
    const cases: ReadonlyArray<readonly [status: string, steps: ReadonlyArray<keyof typeof events>]> = [
      ["placed", ["placed"]],
      ["paid", ["placed", "authorized"]],
      ["paid", ["authorized", "placed"]],
      ["shipped", ["placed", "authorized", "dispatched"]],
      ["shipped", ["dispatched", "authorized", "placed"]],
      ["cancelled", ["placed", "cancelled"]],
      ["cancelled", ["cancelled", "placed"]]
    ]
    for (const [status, steps] of cases) {
      it.effect(`${steps.join(", ")}: the overview says ${status}`, () =>
        Effect.gen(function* () {
          const orderId = OrderId.make(steps.join("-"))
          for (const step of steps) yield* given(overview).when(events[step](orderId)).expect({ sent: [] })
          const db = yield* Db
          const rows = yield* db.query((tx) =>
            tx.select().from(Table.overview).where(eq(Table.overview.orderId, orderId))
          )
          assert.deepStrictEqual(rows, [{ orderId, customer: "ada", cents: 900, status }] as typeof rows)
        })
      )
    }

    it.effect("the journal keeps what is handled twice", () =>
      Effect.gen(function* () {
        const orderId = OrderId.make("twice")
        for (const step of ["placed", "placed", "dispatched"] as const) {
          yield* given(journal).when(events[step](orderId)).expect({ sent: [] })
        }
        const db = yield* Db
        const rows = yield* db.query((tx) =>
          tx
            .select({ step: Table.journal.step, lane: Table.journal.lane })
            .from(Table.journal)
            .where(eq(Table.journal.orderId, orderId))
            .orderBy(Table.journal.id)
        )
        const placed = { step: "orders.Order.placed", lane: "orders.Order" }
        assert.deepStrictEqual(rows, [
          placed,
          placed,
          { step: "shipping.Shipment.dispatched", lane: "shipping.Shipment" }
        ])
      })
    )
  })
})
