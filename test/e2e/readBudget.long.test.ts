import { appendFileSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { jetstream } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import { Nats, Reader } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { until } from "./src/world.ts"

const partitions = 16

/** Reads each partition of the stream so many times over one connection, and answers what each reader got. */
const readers = (subscribers: number) =>
  Effect.forEach(
    Array.from({ length: subscribers * partitions }, (_, i) => i % partitions),
    (p) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        yield* Effect.forkScoped(
          Reader.read({
            stream: "LOG",
            filter: `log.${p}.>`,
            after: undefined,
            into: ({ seq }) => {
              seen.push(seq)
              return undefined
            },
            moved: () => Effect.void
          })
        )
        return seen
      })
  )

it.live.each([
  ["900 kB, which each of 96 new readers gets", 240, 900_000, 6, ""],
  ["6 MB, with max_payload 8 MB", 32, 6_000_000, 4, "max_payload: 8MB"]
] as const)(
  "nats-server never ends the connection of many readers over messages of %s",
  ([, count, size, times, config]) =>
    Effect.gen(function* () {
      const server = yield* NatsServer.start({ config })
      const log = () => readFileSync(server.log, "utf8")
      const test = Effect.gen(function* () {
        const { connection, jsm } = yield* Nats
        yield* Effect.promise(() => jsm.streams.add({ name: "LOG", subjects: ["log.>"], duplicate_window: 1e9 }))
        const body = new Uint8Array(size)
        yield* Effect.promise(async () => {
          for (let i = 0; i < count; i++) await jetstream(connection).publish(`log.${i % partitions}.x`, body)
        })
        // The fault: together they want several times what the server lets wait for one connection.
        assert.isAbove(count * size * times, 4 * 64 * 1024 ** 2)
        let lost = 0
        const follow = async () => {
          for await (const { type } of connection.status()) if (type === "disconnect") lost++
        }
        void follow()
        const all = yield* readers(times)
        yield* until(
          async () => all.reduce((sum, seen) => sum + new Set(seen).size, 0),
          (sum) => sum === count * times || lost > 2
        )
        assert.strictEqual(lost, 0, log())
        assert.notInclude(log(), "Slow Consumer")
        for (const [i, seen] of all.entries()) {
          const mine = Array.from({ length: count / partitions }, (_, n) => n * partitions + (i % partitions) + 1)
          assert.deepStrictEqual(seen, mine, "in order, each once")
        }
      })
      yield* Effect.provide(Effect.scoped(test), Nats.layer({ url: Redacted.make(server.url) }))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a message larger than what the server took when its reader connected is read",
  () =>
    Effect.gen(function* () {
      const server = yield* NatsServer.start()
      const test = Effect.gen(function* () {
        const { capabilities, jsm } = yield* Nats
        yield* Effect.promise(() => jsm.streams.add({ name: "LOG", subjects: ["log.>"] }))
        const [seen] = yield* readers(1)
        appendFileSync(join(dirname(server.store), "nats-server.conf"), "max_payload: 8MB\n")
        process.kill(server.pid!, "SIGHUP")
        // It tells only those who connect from now on.
        const publish = (body: Uint8Array) =>
          Effect.acquireUseRelease(
            Effect.promise(() => connect({ servers: server.url })),
            (other) =>
              Effect.promise(async () => {
                if (other.info!.max_payload < body.length) return undefined
                return await jetstream(other).publish("log.0.x", body)
              }),
            (other) => Effect.promise(() => other.close())
          )
        yield* publish(new Uint8Array(3_000_000)).pipe(
          Effect.repeat({ until: (ack) => ack !== undefined }),
          Effect.timeout("10 seconds")
        )
        assert.strictEqual(capabilities.maxPayload, 1_048_576, "the reader was not told")
        yield* until(
          async () => seen,
          (seen) => seen?.length === 1
        )
      })
      yield* Effect.provide(Effect.scoped(test), Nats.layer({ url: Redacted.make(server.url) }))
    }).pipe(Effect.scoped),
  60_000
)
