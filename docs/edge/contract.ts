import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { left: Schema.Int }) {}

class Show extends Contract.actor({
  key: Schema.String,
  commands: {
    reserve: Contract.command({ payload: { seats: Schema.Int }, reply: Schema.Int, errors: [SoldOut] })
  },
  events: { reserved: Contract.event({ seats: Schema.Int }) }
}) {}

export const Box = Contract.make("box", { Show })
