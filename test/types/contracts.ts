// Two services as their teams write them, for the type tests.
import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

export const TripId = Schema.String.pipe(Schema.brand("TripId"))
export type TripId = typeof TripId.Type

export class Stop extends Schema.Class<Stop>("Stop")({ city: Schema.String, km: Schema.Int }) {}
export class Ticket extends Schema.Class<Ticket>("Ticket")({ cents: Schema.Int }) {}
export class Full extends Schema.TaggedError<Full>()("Full", { seats: Schema.Int }) {}
export class AlreadyBooked extends Schema.TaggedError<AlreadyBooked>()("AlreadyBooked", {}) {}

class Trip extends Contract.actor({
  key: TripId,
  commands: {
    book: Contract.command({
      payload: { stops: Schema.NonEmptyArray(Stop), note: Schema.optionalKey(Schema.String) },
      reply: Ticket,
      errors: [Full, AlreadyBooked]
    }),
    cancel: Contract.command({ payload: { reason: Schema.String } }),
    status: Contract.command({ reply: Schema.Literals(["free", "booked"]) })
  },
  events: {
    booked: Contract.event({ cents: Schema.Int }).next({ cents: Schema.Int, currency: Schema.String }, ({ cents }) => ({
      cents,
      currency: "EUR"
    })),
    cancelled: Contract.event({ reason: Schema.String }),
    left: Contract.event()
  }
}) {}
export const Trips = Contract.make("trips", { Trip })

export class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}
class Wallet extends Contract.actor({
  key: TripId,
  commands: { charge: Contract.command({ payload: { cents: Schema.Int }, errors: [Declined] }) },
  events: { charged: Contract.event({ cents: Schema.Int }) }
}) {}
export const Wallets = Contract.make("wallets", { Wallet })
