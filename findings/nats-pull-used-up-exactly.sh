#!/usr/bin/env bash
# nats-server 2.15.1 (JetStream): a pull with `max_bytes` that its last message uses up exactly ends without any status, and its
# `idle_heartbeat` ends too. A client that waits for the end of its pull waits until its own patience is over, while messages
# wait. With one byte more the same pull ends with 409 "Message Size Exceeds MaxBytes", and with one byte less as well.
# What to do: count the bytes of each message as the server does (subject, reply subject, headers and payload), and take a pull
# whose bytes are used up for ended.
# Needs Go (the server is built from its module) and Node.js.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
GOPATH="$folder/go" GOFLAGS=-modcacherw GOBIN="$folder" go install github.com/nats-io/nats-server/v2@v2.15.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0 >/dev/null
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
./nats-server --addr 127.0.0.1 --port "$port" --jetstream --store_dir "$folder/store" --log "$folder/log" &
server=$!
cat > run.mjs <<'JS'
import { setTimeout as sleep } from "node:timers/promises"
import { connect, createInbox } from "@nats-io/transport-node"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"

const nc = await connect({ servers: `127.0.0.1:${process.argv[2]}`, waitOnFirstConnect: true })
const jsm = await jetstreamManager(nc)
await jsm.streams.add({ name: "S", subjects: ["s"] })
for (let i = 0; i < 4; i++) await jetstream(nc).publish("s", "x".repeat(1_000))

/** What a pull of so many bytes brings within 3 s: bytes of messages as the server counts them, and what it says beside them. */
const pull = async (name, bytes) => {
  await jsm.consumers.add("S", { name, ack_policy: "none", mem_storage: true })
  const inbox = createInbox()
  const found = { sizes: [], said: [], beats: 0 }
  const heard = nc.subscribe(inbox, {
    callback: (_, { data, headers, reply, subject }) => {
      if (reply?.startsWith("$JS.ACK.")) found.sizes.push(subject.length + reply.length + data.length)
      else if (headers.code === 100) found.beats++
      else found.said.push(`${headers.code} ${headers.description}`)
    }
  })
  nc.publish(`$JS.API.CONSUMER.MSG.NEXT.S.${name}`,
    JSON.stringify({ batch: 10, max_bytes: bytes, expires: 2_000_000_000, idle_heartbeat: 500_000_000 }), { reply: inbox })
  await sleep(3_000)
  heard.unsubscribe()
  return found
}
// The reply subject of each message has the name of the consumer, and so the same length for names of one length.
const { sizes } = await pull("a", 1_000_000)
// Its reply subject also has the time, the sequences and what is left: two of the same length are used up together.
const two = sizes[0] + sizes[1]
const results = {}
for (const [name, bytes] of [["b", two - 1], ["c", two], ["d", two + 1]]) results[bytes - two] = await pull(name, bytes)
console.log(JSON.stringify({ two, results }))
const exact = results[0]
const silent = exact.sizes.length === 2 && exact.said.length === 0 && exact.beats === 0
const others = [results[-1], results[1]].every(({ said }) => said.some((text) => /^409 .*MaxBytes/i.test(text)))
process.exit(silent && others ? 0 : 1)
JS
node run.mjs "$port"
