import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Databases from "../src/dev/Databases.ts"
import { urlOf } from "../src/ServiceDatabase.ts"
import { database, query } from "./database.ts"

const whoami = "select current_user::text as role, current_database()::text as database"

describe("the databases of dev", () => {
  it.live("are one for each service, of a role of its own, closed to the others", () =>
    Effect.gen(function* () {
      const { name, url } = yield* database
      const [alpha, beta] = yield* Databases.provide(url, ["alpha", "gift-cards"])
      assert.deepStrictEqual(
        [...(yield* query(alpha!, whoami))],
        [{ role: `${name}_alpha`, database: `${name}_alpha` }]
      )
      assert.deepStrictEqual(
        [...(yield* query(beta!, whoami))],
        [{ role: `${name}_gift-cards`, database: `${name}_gift-cards` }]
      )
      yield* query(alpha!, "create schema troupe; create table troupe.kept (n int); insert into troupe.kept values (1)")
      const error = yield* Effect.flip(query(urlOf(alpha!, `${name}_gift-cards`), whoami))
      assert.include(error.message, "permission denied for database")
    })
  )

  it.live("are kept when they are provided again, under fresh passwords", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const [first] = yield* Databases.provide(url, ["alpha"])
      yield* query(first!, "create table kept (n int)")
      const [second] = yield* Databases.provide(url, ["alpha"])
      assert.notStrictEqual(Redacted.value(first!), Redacted.value(second!))
      yield* query(second!, "select n from kept")
      assert.include((yield* Effect.flip(query(first!, whoami))).message, "password authentication failed")
    })
  )

  it.live("are made by a role with CREATEDB and CREATEROLE as well", () =>
    Effect.gen(function* () {
      const { name, url } = yield* database
      yield* query(url, `create role ${name}maker login password 'maker' createdb createrole`)
      const maker = urlOf(url, name, { name: `${name}maker`, password: "maker" })
      for (let run = 0; run < 2; run++) {
        const [alpha] = yield* Databases.provide(maker, ["alpha"])
        assert.deepStrictEqual(
          [...(yield* query(alpha!, whoami))],
          [{ role: `${name}_alpha`, database: `${name}_alpha` }]
        )
      }
    })
  )

  it.live("are refused without that right, unless they are there already", () =>
    Effect.gen(function* () {
      const { name, url } = yield* database
      yield* query(url, `create role ${name}weak login password 'weak'`)
      const weak = urlOf(url, name, { name: `${name}weak`, password: "weak" })
      const { message } = yield* Effect.flip(Databases.provide(weak, ["alpha", "beta"]))
      assert.match(message, /^TRP0506 no right to create databases · /)
      assert.include(message, `there is no ${name}_alpha, ${name}_beta`)
      yield* query(url, `create database ${name}_beta`)
      assert.match(
        (yield* Effect.flip(Databases.provide(weak, ["beta"]))).message,
        new RegExp(`^TRP0506 .* and it may not connect to and create in ${name}_beta ·`)
      )
      yield* query(url, `create database ${name}_alpha owner ${name}weak`)
      const [alpha] = yield* Databases.provide(weak, ["alpha"])
      assert.deepStrictEqual([...(yield* query(alpha!, whoami))], [{ role: `${name}weak`, database: `${name}_alpha` }])
    })
  )

  it.live("can be asked for by two runs at the same time", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const runs = Array.from({ length: 4 }, () => Databases.provide(url, ["alpha", "beta"]))
      const urls = yield* Effect.all(runs, { concurrency: "unbounded" })
      assert.strictEqual(urls.flat().length, 8)
    })
  )

  it.effect("are refused when PostgreSQL could not keep their names, or the url has no room for a role", () =>
    Effect.gen(function* () {
      const long = Redacted.make(`postgres://h/${"x".repeat(60)}`)
      assert.match((yield* Effect.flip(Databases.provide(long, ["alpha"]))).message, /^TRP0101 .*63 bytes/)
      const socket = Redacted.make("postgres:///shop?host=/var/run/postgresql")
      assert.match((yield* Effect.flip(Databases.provide(socket, ["alpha"]))).message, /^TRP0101 .*names no host/)
    })
  )
})
