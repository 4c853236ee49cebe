import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Lease } from "@troupe/postgres/internal"

it.effect("code that no host runs has no lease to lose", () => Lease.check)

it.effect("without its lease a check fails", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Lease.check)
    assert.strictEqual(error._tag, "LeaseLost")
  }).pipe(Effect.provideService(Lease.Lease, { held: () => false }))
)
