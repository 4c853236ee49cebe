import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Lease } from "@troupe/postgres/internal"

it("a lease counts from when the heartbeat was sent, and is lost with the connection", () => {
  let now = 1_000
  let gone = false
  const lease = Lease.make(100, () => now)
  assert.isFalse(lease.held(), "nobody has joined")
  lease.begin(now, () => gone)
  now += 90
  assert.isTrue(lease.held())
  const sent = now
  now += 9
  lease.renew(sent)
  now = sent + 99
  assert.isTrue(lease.held())
  now = sent + 100
  assert.isFalse(lease.held(), "not counted from when it was answered")
  lease.renew(now)
  assert.isFalse(lease.held(), "one that is over stays over")

  lease.begin(now, () => gone)
  assert.isTrue(lease.held(), "until the host joins anew")
  gone = true
  assert.isFalse(lease.held())
  gone = false
  lease.end()
  lease.renew(now)
  assert.isFalse(lease.held())
})

it.effect("code that no host runs has no lease to lose", () => Lease.check)

it.effect("without its lease a check fails", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Lease.check)
    assert.strictEqual(error._tag, "LeaseLost")
  }).pipe(Effect.provideService(Lease.Lease, { held: () => false }))
)
