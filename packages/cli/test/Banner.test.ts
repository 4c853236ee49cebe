import { assert, describe, it } from "@effect/vitest"
import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"
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

class Shelf extends Contract.actor({
  key: Schema.String,
  commands: { take: Contract.command({ payload: { who: Schema.String } }) }
}) {}
const Shop = Contract.make("shop", { Shelf })
const many = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    name: `gateway-${i}`,
    url: `http://127.0.0.1:${4200 + i}`,
    example: Shop.Shelf.at("a/b").take({ who: "O'Neil" })
  }))

describe("the banner of dev", () => {
  it("never has more than 14 lines, whatever runs", () => {
    for (let count = 1; count < 40; count++) {
      for (const keys of [true, false]) {
        for (const [servers, gateways] of [
          [[], 0],
          [started, 0],
          [started, 1],
          [started, 3]
        ] as const) {
          const databaseFile = servers === started ? "/tmp/d/url" : undefined
          const lines = Banner.lines({
            services: services(count),
            gateways: many(gateways),
            started: servers,
            databaseFile,
            keys
          })
          assert.isAtMost(lines.length, 14)
          assert.isTrue(lines.every((line) => !line.includes("\n")))
        }
      }
    }
  })

  it("names every service where they fit, and counts the others where not", () => {
    const few = Banner.lines({ services: services(7), gateways: [], started, keys: true }).join("\n")
    for (const { url } of services(7)) assert.include(few, `${url}/readyz  ${url}/livez`)
    assert.include(Banner.lines({ services: services(9), gateways: [], started, keys: true }).join("\n"), "and 3 more")
  })

  it("invites to set one's own servers only when it started some", () => {
    assert.include(
      Banner.lines({ services: services(1), gateways: [], started, keys: true }).join("\n"),
      "started nats-server and PostgreSQL; set NATS_URL / DATABASE_URL to use yours"
    )
    assert.notInclude(Banner.lines({ services: services(1), gateways: [], started: [], keys: true }).join("\n"), "_URL")
  })

  it("invites to press a key only where keys are read, else shows the command", () => {
    const withKeys = Banner.lines({ services: services(2), gateways: [], started, keys: true }).join("\n")
    assert.include(withKeys, "press k to kill a service in the middle of a message")
    assert.include(withKeys, "q or Ctrl-C")
    const without = Banner.lines({ services: services(2), gateways: [], started, keys: false }).join("\n")
    assert.include(without, "kill -9 1000")
    assert.notInclude(without, "press k")
  })

  it("says how dead letters are reached in a database that it started, and only there", () => {
    const banner = { services: services(2), gateways: [], started, keys: true }
    assert.include(
      Banner.lines({ ...banner, databaseFile: "/tmp/d/url" }).join("\n"),
      `DATABASE_URL="$(cat '/tmp/d/url')" npm run troupe -- dead list --service service-0`
    )
    assert.notInclude(Banner.lines(banner).join("\n"), "dead list")
  })

  it("has a curl that sends the example of a gateway, where there is one", () => {
    const banner = Banner.lines({ services: services(2), gateways: many(1), started, keys: true }).join("\n")
    assert.include(
      banner,
      `try     curl --json '{"who":"O'\\''Neil"}' http://127.0.0.1:4200/v1/shop/Shelf/a%2Fb/take\n`
    )
    assert.include(banner, "  gateway-0  http://127.0.0.1:4200/\n")
  })

  it("has a curl that works on the first service", () => {
    assert.include(
      Banner.lines({ services: services(2), gateways: [], started, keys: true }).join("\n"),
      "curl http://127.0.0.1:4100/readyz"
    )
  })
})
