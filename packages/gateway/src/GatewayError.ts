import { Codes } from "@troupe/contract"
import * as Schema from "effect/Schema"

/** A gateway cannot start. Its message is for a person. */
export class GatewayError extends Schema.TaggedError<GatewayError>()("GatewayError", {
  code: Schema.String,
  message: Schema.String
}) {}

export const failure = (code: Codes.Code, to: string, why: string): GatewayError =>
  new GatewayError({ code, message: Codes.text(code, to, why) })
