import { assert, it } from "@effect/vitest"
import { Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { make } from "../src/Relay.ts"

it.effect("a relay that cannot start says why, and nothing else", () =>
  Effect.gen(function* () {
    const acks = { connected: true, on: () => () => {} }
    const sql = () => Promise.reject(new Error("Postgres is away"))
    const fence = { consumer: 1, p: 0, token: "", n: 0 }
    const cause = yield* Effect.scoped(make({ service: "shop", fence, lane: undefined, setBack: false })).pipe(
      Effect.provideService(Nats, { acks } as unknown as Nats["Service"]),
      Effect.provideService(Sql, sql as unknown as Sql["Service"]),
      Effect.sandbox,
      Effect.flip
    )
    assert.isFalse(Cause.hasDies(cause), Cause.pretty(cause))
    assert.include(Cause.pretty(cause), "Postgres is away")
  })
)
