import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

/** More was taken than there is. */
export class TooFew extends Schema.TaggedError<TooFew>()("TooFew", { left: Schema.Int }) {}

class Counter extends Contract.actor({
  key: Schema.String,
  commands: {
    add: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int, errors: [TooFew] }),
    clear: Contract.command({ payload: {} }),
    /** Adds a little later. */
    later: Contract.command({ payload: { n: Schema.Int } }),
    /** Tries what no handler should: says of each whether the runtime let it. */
    trespass: Contract.command({
      payload: { file: Schema.String, url: Schema.String },
      reply: Schema.Struct({ file: Schema.String, url: Schema.String })
    })
  },
  events: { added: Contract.event({ n: Schema.Int, left: Schema.Int }) }
}) {}

/** The service that the tests run on each runtime and call from each. */
export const Counting = Contract.make("counting", { Counter })

class Pit extends Contract.actor({
  key: Schema.String,
  commands: { fall: Contract.command({ payload: { text: Schema.String } }) },
  events: {}
}) {}

/** A service that is never there: its stream takes commands, and nobody handles them. */
export const Silent = Contract.make("silent", { Pit })
/** A service whose stream is full. */
export const Full = Contract.make("full", { Pit })
/** A service that the caller may not send to. */
export const Forbidden = Contract.make("forbidden", { Pit })
/** A service without a stream. */
export const Absent = Contract.make("absent", { Pit })
