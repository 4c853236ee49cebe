import { Subject } from "@troupe/contract"
import { Nats, Topology } from "@troupe/nats"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { clock } from "./clock.ts"
import { type Finding, warn } from "./Finding.ts"

const check = "nats clock"

/**
 * Compares the server's clock. The server says its time to whoever asks about the own user; where that subject is not
 * allowed, a stream's info says it.
 */
export const natsClock = (services: ReadonlyArray<string>): Effect.Effect<Finding, never, Nats> =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const said = yield* Effect.timeout(ofUser, "2 seconds")
    return clock(check, said, before, yield* Clock.currentTimeMillis)
  }).pipe(
    Effect.catch(() => ofStreams(services)),
    Effect.orElseSucceed(() =>
      warn(
        check,
        "not compared: this user may not ask $SYS.REQ.USER.INFO, and there is no stream that says the time",
        "allow the subject, or see that NTP sets the server's clock"
      )
    )
  )

/** nats-server >= 2.9 answers any user. */
const Answer = Schema.fromJsonString(Schema.Struct({ server: Schema.Struct({ time: Schema.String }) }))

const ofUser = Effect.gen(function* () {
  const { connection } = yield* Nats
  const answer = yield* Effect.tryPromise(() => connection.request("$SYS.REQ.USER.INFO", "", { timeout: 1_000 }))
  return yield* time((yield* Schema.decodeEffect(Answer)(answer.string())).server.time)
})

const ofStreams = (services: ReadonlyArray<string>) =>
  Effect.firstSuccessOf([
    Effect.fail("no stream" as const),
    ...services.map((service) =>
      Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        const found = yield* Topology.find(Subject.stream("cmd", service))
        const after = yield* Clock.currentTimeMillis
        return clock(check, yield* time(found?.ts ?? ""), before, after)
      })
    )
  ])

const time = (text: string) => {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? Effect.fail("no time" as const) : Effect.succeed(ms)
}
