#!/usr/bin/env bash
# @nats-io/transport-node 3.4.0 (nats.js v3): after the wall clock was ahead and is corrected, a lost connection is not
# attempted again for as long as the clock was ahead. With `reconnectTimeWait: 100` and a clock that was 12 seconds ahead
# at one failed attempt, the next attempt comes 11 to 12 seconds later instead of after 0.1. `status()` reports one "reconnecting" for
# the attempt before and nothing more, so an application cannot see why nothing happens.
# Why: the client keeps the time of each attempt by Date.now() and waits until that time plus `reconnectTimeWait`.
# What to do: measure the time since "disconnect" by performance.now() and open a new client.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @nats-io/transport-node@3.4.0 >/dev/null
cat > run.mjs <<'JS'
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { connect } from "@nats-io/transport-node"

// A server that speaks just enough of the protocol, and says when somebody connects.
let attempts = 0
let up = true
const sockets = new Set()
const server = createServer((socket) => {
  attempts++
  if (!up) return socket.destroy()
  sockets.add(socket)
  socket.on("error", () => {}).on("close", () => sockets.delete(socket))
  socket.write(`INFO ${JSON.stringify({ server_id: "s", version: "2.12.0", proto: 1, headers: true, max_payload: 1048576 })}\r\n`)
  socket.on("data", (data) => { for (const _ of String(data).matchAll(/PING\r\n/g)) socket.write("PONG\r\n") })
})
await new Promise((done) => server.listen(0, "127.0.0.1", done))

const real = Date.now
const nc = await connect({
  servers: `127.0.0.1:${server.address().port}`,
  maxReconnectAttempts: -1, reconnectTimeWait: 100, reconnectJitter: 0
})
const attemptsIn = async (ms) => { const before = attempts; await sleep(ms); return attempts - before }

up = false
for (const socket of sockets) socket.destroy()
const steady = await attemptsIn(3_000)
Date.now = () => real() + 12_000          // The clock is ahead at the next attempts ...
await attemptsIn(500)
Date.now = real                           // ... and is corrected.
up = true
const corrected = performance.now()
const before = attempts
while (attempts === before && performance.now() - corrected < 30_000) await sleep(20)
const pause = (performance.now() - corrected) / 1_000
console.log(`attempts in 3 s with a steady clock: ${steady}; seconds until the next one after the clock was corrected: ${pause.toFixed(1)}`)
process.exit(steady >= 10 && pause > 10 && pause < 13 ? 0 : 1)
JS
node run.mjs
