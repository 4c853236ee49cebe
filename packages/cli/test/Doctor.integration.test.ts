import { assert, describe, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { database, query, server } from "./database.ts"
import { nowhere, troupe } from "./troupe.ts"

describe("troupe doctor", () => {
  it.live("finds nothing wrong with servers that are fine, and says what is not there yet", () =>
    Effect.gen(function* () {
      const { name, url } = yield* database
      const nats = yield* NatsServer.start()
      const { code, out } = yield* troupe(["doctor", "--json"], {
        DATABASE_URL: Redacted.value(url),
        NATS_URL: nats.url
      })
      const { findings, ok } = JSON.parse(out)
      const status = Object.fromEntries(
        (findings as Array<{ check: string; status: string }>).map(({ check, status }) => [check, status])
      )
      assert.deepInclude(status, {
        node: "ok",
        nats: "ok",
        "nats max_payload": "ok",
        postgres: "ok",
        "postgres rights": "ok",
        "postgres clock": "ok",
        services: "ok",
        [`database ${name}_cli-alpha`]: "warn"
      })
      assert.property(status, "nats durability")
      assert.property(status, "stream EVT_cli-alpha")
      assert.isTrue(ok)
      assert.strictEqual(code, 0)
    })
  )

  it.live("fails where PostgreSQL is fine but cannot hold every text", () =>
    Effect.gen(function* () {
      const { name } = yield* database
      yield* query(server, `create database ${name}_latin encoding 'LATIN1' locale 'C' template template0`)
      const url = Object.assign(new URL(Redacted.value(server)), { pathname: `/${name}_latin` }).href
      const { code, out } = yield* troupe(["doctor", "--json"], { DATABASE_URL: url })
      const { findings } = JSON.parse(out) as {
        findings: ReadonlyArray<{ check: string; status: string; says: string }>
      }
      assert.strictEqual(code, 1)
      assert.match(
        findings.find(({ check, status }) => check === "postgres sessions" && status === "fail")?.says ?? "",
        /^TRP0514 .*LATIN1/
      )
    }).pipe(Effect.scoped)
  )

  it.live("fails, and says what to do, when a server is not there", () =>
    Effect.gen(function* () {
      const { code, out } = yield* troupe(["doctor"], nowhere)
      assert.match(out, /^fail {2}nats .*TRP0401 /m)
      assert.match(out, /^fail {2}postgres .*TRP0501 /m)
      assert.match(out, /→ check DATABASE_URL and that PostgreSQL runs/)
      assert.notInclude(out, "secret")
      assert.strictEqual(code, 1)
    })
  )
})
