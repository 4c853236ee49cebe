import { bigint, integer, pgSchema, text, timestamp } from "drizzle-orm/pg-core"

/** The service's own tables; `migrations/` makes them. */
const app = pgSchema("app")

/** What became of each order, as far as its events have come. */
export const overview = app.table("overview", {
  orderId: text("order_id").primaryKey(),
  /** With `cents`, null until the order's own event has come: other services' events may come first. */
  customer: text(),
  cents: integer(),
  status: text({ enum: ["placed", "paid", "shipped", "cancelled"] }).notNull()
})

/** Every event of an order, as it was handled. Nothing here keeps one from being written twice: that is what it is for. */
export const journal = app.table("journal", {
  /** In the order written. */
  id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  orderId: text("order_id").notNull(),
  /** The event's type. */
  step: text().notNull(),
  /** The actor type that said it: positions are compared within one lane only. */
  lane: text().notNull(),
  position: bigint({ mode: "number" }).notNull(),
  at: timestamp({ withTimezone: true }).notNull().defaultNow()
})
