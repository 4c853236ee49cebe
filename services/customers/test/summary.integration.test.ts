import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { OrderId } from "@shop/orders"
import { Migrations, Sql } from "@troupe/postgres"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Summary from "../src/summary.ts"

const good = { placed: 2, paid: 1, refused: 1, shipped: 1, lost: 0, repeated: 0, outOfOrder: 0 }
const shipped = OrderId.make("shipped")
const cancelled = OrderId.make("cancelled")

/** An order service's database, dropped at the end. */
const database = Layer.unwrap(
  Effect.gen(function* () {
    const server = yield* Config.Redacted("DATABASE_URL")
    const name = `summary_${crypto.randomUUID().replaceAll("-", "")}`
    const url = new URL(Redacted.value(server))
    url.pathname = `/${name}`
    const own = Redacted.make(url.href)
    const admin = (statement: string) =>
      Effect.provide(
        Effect.flatMap(Sql, (sql) => Effect.promise(() => sql.unsafe(statement))),
        Sql.layer({ url: server, max: 1 })
      )
    yield* Effect.acquireRelease(admin(`create database ${name}`), () =>
      Effect.orDie(admin(`drop database ${name} with (force)`))
    )
    const folder = fileURLToPath(new URL("../../orders/migrations", import.meta.url))
    yield* Migrations.run({ url: own, folder })
    return Sql.layer({ url: own, max: 1 })
  })
)

/** Writes a shipped and a cancelled order as they should be, then what the test plants. */
const plant = (statement: string) =>
  Effect.flatMap(Sql, (sql) =>
    Effect.promise(() =>
      sql.unsafe(`
        truncate app.overview, app.journal;
        insert into app.overview (order_id, customer, cents, status) values
          ('shipped', 'ada', 900, 'shipped'), ('cancelled', 'ada', 75000, 'cancelled');
        insert into app.journal (order_id, step, lane, position) values
          ('shipped', 'shipping.Shipment.dispatched', 'shipping.Shipment', 3),
          ('shipped', 'orders.Order.placed', 'orders.Order', 7),
          ('shipped', 'payments.Payment.authorized', 'payments.Payment', 5),
          ('cancelled', 'orders.Order.placed', 'orders.Order', 8),
          ('cancelled', 'payments.Payment.declined', 'payments.Payment', 9),
          ('cancelled', 'orders.Order.cancelled', 'orders.Order', 12);
        ${statement}`)
    )
  )

describe("the summary", () => {
  it.layer(database, { timeout: "60 seconds" })((it) => {
    it.effect("of what went well counts nothing as lost, repeated or out of order", () =>
      Effect.gen(function* () {
        yield* plant("")
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), good)
      })
    )

    it.effect("counts an acknowledged order without a final state as lost", () =>
      Effect.gen(function* () {
        yield* plant("update app.overview set status = 'paid' where order_id = 'shipped'")
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), { ...good, shipped: 0, lost: 1 })
      })
    )

    it.effect("counts an acknowledged order that is not stored at all as lost", () =>
      Effect.gen(function* () {
        yield* plant("")
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled, OrderId.make("gone")]), { ...good, lost: 1 })
      })
    )

    it.effect("counts an order whose event never came to the journal as lost", () =>
      Effect.gen(function* () {
        yield* plant("delete from app.journal where step = 'payments.Payment.declined'")
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), { ...good, lost: 1 })
      })
    )

    it.effect("counts an order with an event that was handled twice as repeated", () =>
      Effect.gen(function* () {
        yield* plant(`insert into app.journal (order_id, step, lane, position)
          values ('shipped', 'orders.Order.placed', 'orders.Order', 7)`)
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), { ...good, repeated: 1 })
      })
    )

    it.effect("counts an event whose position in its lane falls as out of order", () =>
      Effect.gen(function* () {
        yield* plant("update app.journal set position = 6 where step = 'orders.Order.cancelled'")
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), { ...good, outOfOrder: 1 })
      })
    )

    it.effect("does not look at other orders", () =>
      Effect.gen(function* () {
        yield* plant(`insert into app.overview (order_id, status) values ('other', 'placed');
          insert into app.journal (order_id, step, lane, position) values
            ('other', 'orders.Order.placed', 'orders.Order', 2), ('other', 'orders.Order.placed', 'orders.Order', 1)`)
        assert.deepStrictEqual(yield* Summary.read([shipped, cancelled]), good)
      })
    )
  })
})
