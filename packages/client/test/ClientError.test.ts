import { assert, describe, it } from "@effect/vitest"
import {
  BadKey,
  ClientError,
  NotAllowed,
  NotAuthorized,
  NotConnected,
  Rejected,
  StreamFull,
  TimedOut,
  TooLarge,
  TooManyUnderWay
} from "@troupe/client"

const to = "shop.Shelf.take"
const reasons = [
  [new TimedOut({ after: "5s" }), true, "TRP0210 no answer in time · shop.Shelf.take · after 5s · "],
  [
    new TimedOut({ after: "5s", subscriber: "shop.list" }),
    true,
    "TRP0218 the subscriber has not caught up in time · shop.Shelf.take · after 5s · "
  ],
  [new NotAllowed({ subject: "cmd.x" }), false, "TRP0211 not allowed · shop.Shelf.take · cmd.x · "],
  [
    new NotAllowed({ subject: "cmd.shop.Shelf.take.tea" }),
    false,
    "TRP0211 not allowed · shop.Shelf.take · cmd.shop.Shelf.take.tea: add sends: [Shop.Shelf.commands.take] to its Caller · "
  ],
  [
    new NotAuthorized({ detail: "Authorization Violation" }),
    false,
    "TRP0412 NATS refuses the user · shop.Shelf.take · "
  ],
  [
    new StreamFull({ stream: "CMD_shop" }),
    true,
    "TRP0406 the stream is full, or about to be · shop.Shelf.take · CMD_shop · "
  ],
  [
    new TooManyUnderWay({ limit: 8 }),
    true,
    "TRP0213 too much is under way · shop.Shelf.take · 8 at once · send it again with the same id, "
  ],
  [
    new TooLarge({ bytes: 9, limit: 8 }),
    false,
    "TRP0207 the message is too large · shop.Shelf.take · 9 bytes with headers, 8 allowed · "
  ],
  [new BadKey({ key: "a\nb" }), false, 'TRP0204 the key is not canonical · shop.Shelf.take · "a\\nb" · '],
  [new NotConnected({ detail: "refused" }), true, "TRP0401 cannot connect to NATS · shop.Shelf.take · refused · "],
  [new Rejected({ code: "TRP0301", detail: "x" }), false, "TRP0301 the handler failed · shop.Shelf.take · x · "],
  [
    new Rejected({ code: "TRP9999", detail: "of a newer service" }),
    false,
    "TRP9999 · shop.Shelf.take · of a newer service"
  ]
] as const

describe("a client's error", () => {
  it.each(reasons)("%s says what happened, to what, why and what to do", (reason, retryable, message) => {
    const error = new ClientError({ to, reason })
    assert.isTrue(error.message.startsWith(message), error.message)
    assert.strictEqual(error.retryable, retryable)
    assert.include(String(error), message)
  })
})
