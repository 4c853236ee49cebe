import { Actor } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Gateway } from "@troupe/gateway"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"

export const name = "fuzz"

export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const Line = Schema.Struct({ sku: Schema.String, quantity: Schema.Int, notes: Schema.Array(Schema.String) })

class Tally extends Contract.actor({
  key: Schema.String,
  commands: {
    /** Adds, and answers the sum: what shows whether a message was handled once. */
    add: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int }),
    read: Contract.command({ reply: Schema.Int }),
    /** Takes something of every kind, and leaves nothing behind. */
    note: Contract.command({
      payload: {
        text: Schema.String,
        lines: Schema.Array(Line),
        kind: Schema.Literals(["a", "b"]),
        size: Schema.NullOr(Schema.Number),
        more: Schema.optionalKey(Schema.Record(Schema.String, Schema.Boolean))
      },
      reply: Schema.Int,
      errors: [Refused]
    })
  },
  events: { added: Contract.event({ n: Schema.Int }) }
}) {}

/** The contract whose service and gateway are under attack. */
export const Fuzz = Contract.make(name, { Tally })

const tally = Actor.make(Fuzz.Tally, { state: Schema.Int, initial: 0 }).commands({
  add: ({ n }, self) => {
    self.set(self.state + n)
    self.emit.added({ n })
    return self.state
  },
  read: (_, self) => self.state,
  *note({ lines, text }) {
    if (text === "refuse") return yield* new Refused({ why: text })
    return lines.length
  }
})

export const service = Service.make(Fuzz, { actors: [tally] })

/** How long a request may wait for its answer, in seconds. */
export const maxWait = 3

/** Its limits are out of the way: the requests are to reach what is behind them. */
export const gateway = (secret: string) =>
  Gateway.make({
    contracts: [Fuzz],
    auth: { secret },
    limits: { maxWait, rate: { burst: 1e6, perSecond: 1e6 } }
  })
