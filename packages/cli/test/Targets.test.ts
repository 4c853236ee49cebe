import { assert, describe, it } from "@effect/vitest"
import type { Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { targets } from "../src/migrate/targets.ts"

const loaded = (...names: ReadonlyArray<string>) =>
  names.map((name) => ({
    file: `/none/${name}.ts`,
    service: { "~troupe": "service", name } as unknown as Service.Service
  }))
const none = Option.none<Redacted.Redacted>()
const shown = Effect.map((all: Effect.Success<ReturnType<typeof targets>>) =>
  all.map(({ service, url }) => [service, Redacted.value(url)])
)

describe("what is migrated", () => {
  it.effect("is DATABASE_URL where there are no services, and for one service", () =>
    Effect.gen(function* () {
      const environment = { DATABASE_URL: "postgres://h/d" }
      assert.deepStrictEqual(yield* shown(targets([], none, environment)), [[undefined, "postgres://h/d"]])
      assert.deepStrictEqual(yield* shown(targets(loaded("orders"), none, environment)), [["orders", "postgres://h/d"]])
    })
  )

  it.effect("is a database for each of several services, never one for two", () =>
    Effect.gen(function* () {
      const environment = { DATABASE_URL: "postgres://h/d", ORDERS_DATABASE_URL: "postgres://h/o" }
      assert.deepStrictEqual(yield* shown(targets(loaded("orders", "payments"), none, environment)), [
        ["orders", "postgres://h/o"],
        ["payments", "postgres://h/d"]
      ])
      const error = yield* Effect.flip(targets(loaded("orders", "payments", "gift-cards"), none, environment))
      assert.match(
        error.message,
        /^TRP0101 .*3 services need a database each: .* PAYMENTS_DATABASE_URL, GIFT_CARDS_DATABASE_URL/
      )
    })
  )
})
