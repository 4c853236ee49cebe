import { assert, describe, it } from "@effect/vitest"
import { passes, Settings, Tls, unreached } from "@troupe/postgres/internal"

const at = (authority: string, query = "") => `postgres://u:p%40@${authority}/d?${query}`
const root = import.meta.filename

describe("the protection of a connection", () => {
  it("is what sslmode says, as libpq reads it", () => {
    const modes = [
      ["", "disable"],
      ["sslmode=disable", "disable"],
      ["sslmode=allow", "prefer"],
      ["sslmode=prefer", "prefer"],
      ["sslmode=require", "require"],
      [`sslmode=require&sslrootcert=${root}`, "verify-ca"],
      [`sslmode=verify-ca&sslrootcert=${root}`, "verify-ca"],
      ["sslmode=verify-full", "verify-full"],
      ["sslrootcert=system", "verify-full"],
      ["ssl=true", "verify-full"]
    ] as const
    for (const [query, mode] of modes) assert.strictEqual(Tls.of(at("h", query), {}).mode, mode, query)
  })

  it("comes from PG variables where the url says nothing", () => {
    const environment = { PGSSLMODE: "verify-full", PGSSLROOTCERT: root, PGHOST: "pg.example" }
    const { hosts, mode, ssl } = Tls.of("postgres:///d", environment)
    assert.deepStrictEqual([hosts, mode], [["pg.example"], "verify-full"])
    assert.containsAllKeys(ssl, ["ca", "host"])
    assert.strictEqual(Tls.of(at("h", "sslmode=disable"), environment).mode, "disable")
  })

  it("names the host that the certificate must be for", () => {
    const hostOf = (authority: string) =>
      (Tls.of(at(authority, "sslmode=verify-full"), {}).ssl as object)["host" as never]
    assert.strictEqual(hostOf("10.0.0.1:5433"), "10.0.0.1")
    assert.strictEqual(hostOf("[fd00::1]:5433"), "fd00::1")
    assert.strictEqual(hostOf("pg.example"), "pg.example")
    assert.isUndefined(hostOf("a.example,b.example:5433"), "postgres.js says which of several names it reaches")
  })

  it("is not needed where nothing leaves the machine", () => {
    assert.strictEqual(Tls.of("postgres:///d?sslmode=require", { PGHOST: "/run/postgresql" }).ssl, false)
  })

  it("is refused where it cannot be as it was asked for", () => {
    const refused = [
      [at("h", "sslmode=Verify-Full"), /sslmode is "Verify-Full"/],
      [at("h", "sslmode=verify-ca"), /needs sslrootcert/],
      [at("h", "sslmode=require&sslrootcert=system"), /needs sslmode=verify-full/],
      [at("h", "sslmode=verify-full&sslrootcert=/none"), /sslrootcert cannot be read: ENOENT/],
      [at("h", "sslmode=require&sslcert=/none"), /sslcert cannot be read/],
      [at("a.example,10.0.0.1", "sslmode=verify-full"), /needs their names, and one is 10\.0\.0\.1/]
    ] as const
    for (const [url, why] of refused) assert.throws(() => Tls.of(url, {}), why)
  })

  it("is no setting that the server would get", () => {
    assert.strictEqual(
      Settings.url(at("h", "sslmode=require&sslrootcert=a&sslcert=b&sslkey=c&work_mem=1")),
      at("h", "work_mem=1")
    )
  })
})

it("a certificate that became wrong is a lost connection: it fails no message, and no start waits for it", () => {
  for (const code of [
    "CERT_HAS_EXPIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "TRP0521"
  ]) {
    const cause = Object.assign(new Error(code), { code })
    assert.isTrue(passes(cause), code)
    assert.isNotTrue(unreached("here", cause).passes, code)
  }
  assert.isFalse(passes(Object.assign(new Error("22P02"), { code: "22P02" })))
})
