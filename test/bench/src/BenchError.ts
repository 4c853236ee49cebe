import * as Schema from "effect/Schema"

/** A bench could not go on: `what happened · to what · why · what to do`. */
export class BenchError extends Schema.TaggedError<BenchError>()("BenchError", { message: Schema.String }) {}

export const failure = (happened: string, to: string, why: string, todo: string): BenchError =>
  new BenchError({ message: [happened, to, why.trim(), todo].join(" · ") })
