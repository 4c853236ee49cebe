import { integer, pgSchema, text } from "drizzle-orm/pg-core"

/** The service's own tables; `migrations/` makes and fills them. */
const app = pgSchema("app")

/** Who carries a parcel, by what it is worth. */
export const carrier = app.table("carrier", {
  name: text().primaryKey(),
  /** The least that a parcel must be worth for this carrier. */
  fromCents: integer("from_cents").notNull()
})
