import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { natsTls, postgresTls } from "../src/doctor/tls.ts"

describe("doctor", () => {
  it("tells of a PostgreSQL on another machine that nothing verifies", () => {
    const status = (url: string) => postgresTls(Redacted.make(url), {}).map(({ status, says }) => `${status}: ${says}`)
    const far = "postgres://u:secret@db.example:5432/d"
    assert.deepStrictEqual(status(far), ["warn: the connection to db.example is not encrypted"])
    assert.deepStrictEqual(status(`${far}?sslmode=prefer`), [
      "warn: the connection to db.example is encrypted only if the answer offers it"
    ])
    assert.deepStrictEqual(status(`${far}?sslmode=require`), [
      "warn: sslmode=require encrypts, and takes whoever answers at db.example for the server"
    ])
    assert.match(status(`${far}?sslmode=verify-full`)[0]!, /^ok/)
    assert.match(status(`${far}?sslmode=verify`)[0]!, /^fail: TRP0521/)
    for (const near of ["localhost", "127.0.0.1:5432", "[::1]:5432"])
      assert.deepStrictEqual(status(`postgres://u:secret@${near}/d?sslmode=require`), [], near)
    assert.deepStrictEqual(status(`postgres://u@localhost,db.example/d`).length, 1, "one of several is elsewhere")
  })

  it("tells of a NATS on another machine that nothing verifies", () => {
    const status = (url: string, encrypted: boolean) =>
      natsTls(Redacted.make(url), encrypted).map(({ status, says }) => `${status}: ${says}`)
    assert.deepStrictEqual(status("nats://u:secret@n.example:4222", false), [
      "warn: the connection to n.example is not encrypted"
    ])
    assert.deepStrictEqual(status("nats://n.example", true), [
      "warn: the connection to n.example is encrypted only because the answer offers it"
    ])
    assert.match(status("tls://n.example", true)[0]!, /^ok/)
    for (const near of ["nats://127.0.0.1:4222", "nats://localhost", "nats://[::1]:4222", "127.0.0.1:4222"])
      assert.deepStrictEqual(status(near, false), [], near)
  })
})
