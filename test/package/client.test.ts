import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { binary } from "@troupe/test-world/binary"
import { make, type Scratch } from "./scratch.ts"

/** It builds and packs three packages first. */
const timeout = 90_000

/** Nobody listens on port 1: how it fails shows that all of it was loaded and ran. */
const call = (contract: string, client: string, servers: string): string => `
import { OrderId, Orders } from "${contract}"
import { ClientError, connect } from "${client}"

const message = Orders.Order.at(OrderId.make("o-1")).cancel({ reason: "late" })
const error = await connect({ servers: "${servers}", timeout: "300 millis" }).catch((error) => error)
console.log(JSON.stringify([message.to, error instanceof ClientError, error.retryable, error.to]))
`
const transports = { "@troupe/client": "ws://127.0.0.1:1", "@troupe/client/node": "nats://127.0.0.1:1" }
const flags = ["run", "--no-prompt", "--allow-net=127.0.0.1:1", "--allow-read=.", "--allow-env"]
const runtimes: { readonly [name: string]: readonly [string, ...ReadonlyArray<string>] } = {
  "Node.js": [process.execPath],
  Deno: [binary("deno"), ...flags],
  Bun: [binary("bun")]
}

describe("@troupe/client and @shop/orders, packed and installed elsewhere", () => {
  let scratch: Scratch
  beforeAll(async () => {
    scratch = await make({
      "@troupe/contract": "packages/contract",
      "@troupe/client": "packages/client",
      "@shop/orders": "services/orders/contract"
    })
  }, timeout)
  afterAll(() => scratch?.[Symbol.asyncDispose]())

  const prints = async (runtime: string, servers: string, text: string) => {
    await scratch.write("call.ts", text)
    const [program, ...args] = runtimes[runtime]!
    const { code, output } = await scratch.start(program, ...args, "call.ts")
    assert.deepStrictEqual(
      { code, output: output.trim() },
      { code: 0, output: JSON.stringify(["orders.Order.cancel", true, true, servers]) }
    )
  }

  for (const runtime of Object.keys(runtimes))
    for (const [client, servers] of Object.entries(transports))
      it(`run on ${runtime} by ${client}`, { timeout }, () =>
        prints(runtime, servers, call("@shop/orders", client, servers))
      )

  it("run on Deno by npm: specifiers", { timeout }, async () => {
    for (const [client, servers] of Object.entries(transports))
      await prints("Deno", servers, call("npm:@shop/orders", `npm:${client}`, servers))
  })
})
