import { Shipping } from "@shop/shipping"
import { Actor } from "@troupe/actor"
import { Db } from "@troupe/postgres"
import { desc, lte } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { carrier as table } from "./tables.ts"

export class ShipmentState extends Schema.Class<ShipmentState>("ShipmentState")({
  carrier: Schema.NullOr(Schema.String)
}) {}

/** Dispatches once, with the best carrier that the parcel is worth. Asks for `Db`: its turns run in a transaction. */
export const shipment = Actor.make(Shipping.Shipment, {
  state: ShipmentState,
  initial: { carrier: null }
}).commands({
  *dispatch({ cents }, self) {
    if (self.state.carrier !== null) return
    const db = yield* Db
    const [best] = yield* db
      .query((tx) => tx.select().from(table).where(lte(table.fromCents, cents)).orderBy(desc(table.fromCents)).limit(1))
      .pipe(Effect.orDie)
    const carrier = best?.name ?? "post"
    self.set({ carrier })
    self.emit.dispatched({ carrier })
  }
})
