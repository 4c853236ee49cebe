import { assert, describe, it } from "@effect/vitest"
import * as Banner from "../src/dev/Banner.ts"

const services = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    name: `service-${i}`,
    url: `http://127.0.0.1:${4100 + i}`,
    pid: 1000 + i
  }))
const started = [
  { what: "nats-server", variable: "NATS_URL" },
  { what: "PostgreSQL", variable: "DATABASE_URL" }
]

describe("the banner of dev", () => {
  it("never has more than 14 lines, whatever runs", () => {
    for (let count = 1; count < 40; count++) {
      for (const keys of [true, false]) {
        for (const servers of [[], started]) {
          const databaseUrl = servers === started ? "postgres://h/d" : undefined
          const lines = Banner.lines({ services: services(count), started: servers, databaseUrl, keys })
          assert.isAtMost(lines.length, 14)
          assert.isTrue(lines.every((line) => !line.includes("\n")))
        }
      }
    }
  })

  it("names every service where they fit, and counts the others where not", () => {
    const few = Banner.lines({ services: services(7), started, keys: true }).join("\n")
    for (const { url } of services(7)) assert.include(few, `${url}/readyz  ${url}/livez`)
    assert.include(Banner.lines({ services: services(9), started, keys: true }).join("\n"), "and 3 more")
  })

  it("invites to set one's own servers only when it started some", () => {
    assert.include(
      Banner.lines({ services: services(1), started, keys: true }).join("\n"),
      "started nats-server and PostgreSQL; set NATS_URL / DATABASE_URL to use yours"
    )
    assert.notInclude(Banner.lines({ services: services(1), started: [], keys: true }).join("\n"), "_URL")
  })

  it("invites to press a key only where keys are read, else shows the command", () => {
    const withKeys = Banner.lines({ services: services(2), started, keys: true }).join("\n")
    assert.include(withKeys, "press k to kill a service in the middle of a message")
    assert.include(withKeys, "q or Ctrl-C")
    const without = Banner.lines({ services: services(2), started, keys: false }).join("\n")
    assert.include(without, "kill -9 1000")
    assert.notInclude(without, "press k")
  })

  it("says how dead letters are reached in a database that it started, and only there", () => {
    const banner = { services: services(2), started, keys: true }
    assert.include(
      Banner.lines({ ...banner, databaseUrl: "postgres://h/d" }).join("\n"),
      "npm run troupe -- dead list --service service-0 --database-url postgres://h/d"
    )
    assert.notInclude(Banner.lines(banner).join("\n"), "dead list")
  })

  it("has a curl that works on the first service", () => {
    assert.include(
      Banner.lines({ services: services(2), started, keys: true }).join("\n"),
      "curl http://127.0.0.1:4100/readyz"
    )
  })
})
