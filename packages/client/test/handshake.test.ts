import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { ClientError, connect } from "@troupe/client"

/** What nats-server says first, enough of it. */
const info = `INFO ${JSON.stringify({ server_id: "x", version: "2.15.1", proto: 1, max_payload: 1_048_576, headers: true })}\r\n`

/** A server that greets each WebSocket, and ends it without a word when the client has answered. */
const start = async () => {
  let ended = 0
  const server = createServer()
  server.on("upgrade", (request, socket) => {
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash("sha1").update(key).digest("base64")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
    )
    // One unmasked binary frame of 126 to 65,535 bytes, or below (RFC 6455, 5.2).
    socket.write(Buffer.concat([Buffer.from(frame(info.length)), Buffer.from(info)]))
    socket.once("data", () => {
      ended++
      socket.destroy()
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ended: () => ended,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve()))
  }
}

const frame = (length: number): ReadonlyArray<number> =>
  length < 126 ? [0x82, length] : [0x82, 126, length >> 8, length & 0xff]

describe("a connection over WebSocket that ends while it is made", () => {
  it("is tried again within the timeout, and then says so", async () => {
    await using server = await start()
    const started = performance.now()
    const error = await connect({ servers: server.url, timeout: "1 second" }).catch((error: unknown) => error)
    assert.instanceOf(error, ClientError)
    assert.deepInclude(error.reason, {
      _tag: "NotConnected",
      detail: "the server ended the connection before it was made"
    })
    assert.isAbove(server.ended(), 1)
    assert.isBelow(performance.now() - started, 5_000)
  })
})
