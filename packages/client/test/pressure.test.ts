import { assert, it } from "@effect/vitest"
import type { Msg, NatsConnection, PublishOptions } from "@nats-io/nats-core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { deliver } from "../src/internal/deliver.ts"
import { Link } from "../src/internal/Link.ts"
import { Places } from "../src/internal/places.ts"
import { Shop } from "./shelf.ts"

/** A server that takes what is sent and says nothing, until it is told to. */
class Frozen {
  bytes = 0
  published = 0
  private readonly unanswered: Array<string> = []
  private hear: (error: Error | null, msg: Msg) => void = () => {}
  readonly nc = {
    info: { max_payload: 1_048_576 },
    isClosed: () => false,
    subscribe: (_: string, { callback }: { callback: Frozen["hear"] }) => void (this.hear = callback),
    publish: (_: string, body: string, { reply = "" }: PublishOptions) => {
      this.bytes += body.length
      this.published++
      this.unanswered.push(reply)
    }
  } as unknown as NatsConnection

  /** Acknowledges all that came. */
  thaw(): void {
    for (const subject of this.unanswered.splice(0)) this.hear(null, { subject, string: () => "{}" } as Msg)
  }
}

it.live(
  "while a server says nothing, what is sent to it is bounded, and goes on when it speaks",
  () =>
    Effect.gen(function* () {
      const server = new Frozen()
      const link = new Link(server.nc, "_INBOX", undefined as never, false)
      const places = new Places(1_000)
      const message = Shop.Shelf.at("k").take({ n: 1, note: "x".repeat(1_000_000) })
      const send = (timeout: Duration.Input) =>
        deliver(link, places, {
          message,
          id: crypto.randomUUID(),
          source: "test",
          traceparent: "",
          timeout: Duration.fromInputUnsafe(timeout),
          answer: false,
          whenFull: "fail"
        })
      const all = Array.from({ length: 100 }, (_, i) => i)
      const failed = yield* Effect.forEach(all, () => Effect.flip(send("100 millis")), { concurrency: "unbounded" })
      assert.strictEqual(server.published, 34, "so many are 32 MiB")
      assert.isBelow(server.bytes, 35_000_000)
      // One that was sent and found the server silent once more, before its time was over, says that instead.
      const reasons = failed.map(({ reason }) => reason._tag)
      assert.isAtLeast(reasons.filter((tag) => tag === "NotConnected").length, 66)
      assert.isEmpty(reasons.filter((tag) => tag !== "NotConnected" && tag !== "TimedOut"))

      server.thaw()
      const rest = yield* Effect.forkChild(Effect.forEach(all, () => send("20 seconds"), { concurrency: "unbounded" }))
      yield* Effect.repeat(
        Effect.promise(() => new Promise(setImmediate)),
        {
          until: () => {
            server.thaw()
            return rest.pollUnsafe() !== undefined
          }
        }
      )
      assert.strictEqual(rest.pollUnsafe()?._tag, "Success")
    }),
  60_000
)
