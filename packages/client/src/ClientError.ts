import { Codes, Declaration } from "@troupe/contract"
import * as Schema from "effect/Schema"

/**
 * Nothing came back in time. The command may have been handled: ask again with the same id. TRP0212 then says that it never
 * was. Of `after`, then with the `subscriber`: it had not come that far.
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  after: Schema.String,
  subscriber: Schema.optionalKey(Schema.String)
}) {}
/** The server refuses this connection's user a subject. */
export class NotAllowed extends Schema.TaggedError<NotAllowed>()("NotAllowed", { subject: Schema.String }) {}
/** The server refuses this connection's user: it is unknown, has expired or was revoked. */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", { detail: Schema.String }) {}
/** The service's stream is full: it takes nothing until the service has caught up. Nothing was sent. */
export class StreamFull extends Schema.TaggedError<StreamFull>()("StreamFull", { stream: Schema.String }) {}
/** This client has so many messages under way (`maxInFlight`), and none of them ended in time. Nothing was sent. */
export class TooManyUnderWay extends Schema.TaggedError<TooManyUnderWay>()("TooManyUnderWay", { limit: Schema.Int }) {}
/** The message with its headers is larger than the server takes. Nothing was sent. */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { bytes: Schema.Int, limit: Schema.Int }) {}
/** The key has no subject token: empty, over 200 bytes percent-encoded, or not Unicode. Nothing was sent. */
export class BadKey extends Schema.TaggedError<BadKey>()("BadKey", { key: Schema.String }) {}
/** There is no server, no stream, or no connection any more. */
export class NotConnected extends Schema.TaggedError<NotConnected>()("NotConnected", { detail: Schema.String }) {}
/**
 * Reading cannot go on after the place where it was: TRP0407, messages were deleted before they were read, or TRP0408, the
 * stream is not the one that was read. Subscribe from a time, or with `whenLost: "rewind"`.
 */
export class PlaceLost extends Schema.TaggedError<PlaceLost>()("PlaceLost", {
  code: Schema.Literals(["TRP0407", "TRP0408"]),
  stream: Schema.String,
  why: Schema.String
}) {}
/** Another subscription reads under the same durable name, and has taken the place over. */
export class TakenOver extends Schema.TaggedError<TakenOver>()("TakenOver", { durable: Schema.String }) {}
/** The service, or this client before sending, does not handle the message. `code` is one of `Codes` in `@troupe/contract`. */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  code: Schema.String,
  detail: Schema.String
}) {}

const Reason = Schema.Union([
  TimedOut,
  NotAllowed,
  NotAuthorized,
  StreamFull,
  TooManyUnderWay,
  TooLarge,
  BadKey,
  NotConnected,
  PlaceLost,
  TakenOver,
  Rejected
])
/** Why a command did not get through, or events cannot be read. */
export type Reason = typeof Reason.Type

/** A message did not reach its addressee, or its answer did not reach us: `reason` says why, `to` where it should go. */
export class ClientError extends Schema.TaggedError<ClientError>()("ClientError", {
  to: Schema.String,
  reason: Reason
}) {
  /** `TRP0210 no answer in time · orders.Order.place · after 5s · ask again ...` */
  override get message(): string {
    const [code, why] = describe(this.reason)
    return Codes.textOfMessage(code, this.to, why)
  }
  /** Whether the same message may get through later. Keep its id: what was handled is then answered, not handled again. */
  get retryable(): boolean {
    const { _tag } = this.reason
    return _tag === "TimedOut" || _tag === "StreamFull" || _tag === "TooManyUnderWay" || _tag === "NotConnected"
  }
}

const describe = (reason: Reason): readonly [code: string, why: string] => {
  switch (reason._tag) {
    case "TimedOut":
      return [reason.subscriber === undefined ? "TRP0210" : "TRP0218", `after ${reason.after}`]
    case "NotAllowed":
      return ["TRP0211", [reason.subject, Declaration.ofCaller(reason.subject)].filter(Boolean).join(": ")]
    case "NotAuthorized":
      return ["TRP0412", reason.detail]
    case "StreamFull":
      return ["TRP0406", reason.stream]
    case "TooManyUnderWay":
      return ["TRP0213", `${reason.limit} at once`]
    case "TooLarge":
      return ["TRP0207", `${reason.bytes} bytes with headers, ${reason.limit} allowed`]
    case "BadKey":
      return ["TRP0204", JSON.stringify(reason.key.slice(0, 60))]
    case "NotConnected":
      return ["TRP0401", reason.detail]
    case "PlaceLost":
      return [reason.code, reason.why]
    case "TakenOver":
      return ["TRP0217", reason.durable]
    case "Rejected":
      return [reason.code, reason.detail]
  }
}
