import { chmodSync, existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { NatsServer } from "../src/index.ts"
import { folder, isAlive, listens, onJetStream } from "./servers.ts"

const withVariable = (file: string) => ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_SERVER: file }))

describe("NatsServer", () => {
  it.live(
    "keeps its streams over kill -9 and restart, and is gone when the scope closes",
    () =>
      Effect.gen(function* () {
        const after = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* NatsServer.start()
            yield* onJetStream(server.url, async ({ addStream, publish }) => {
              await addStream("KEPT", ["kept.>"])
              await publish("kept.a", "one")
            })
            const first = server.pid
            yield* server.kill("SIGKILL")
            assert.isFalse(isAlive(first))
            assert.isFalse(yield* listens(server.port))
            yield* server.restart
            assert.notStrictEqual(server.pid, first)
            yield* onJetStream(server.url, async ({ messages, publish }) => {
              await publish("kept.b", "two")
              assert.strictEqual(await messages("KEPT"), 2)
            })
            yield* server.restart
            assert.strictEqual(yield* onJetStream(server.url, ({ messages }) => messages("KEPT")), 2)
            return { port: server.port, pid: server.pid, store: server.store }
          })
        )
        assert.isFalse(isAlive(after.pid))
        assert.isFalse(yield* listens(after.port))
        assert.isFalse(existsSync(after.store))
      }),
    30_000
  )

  it.live(
    "keeps a folder that was named, with settings of ours and of the caller",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* NatsServer.start({ dir, syncAlways: true, config: "max_payload: 2MB" })
            yield* onJetStream(server.url, ({ addStream }) => addStream("KEPT", ["kept.>"]))
          })
        )
        assert.include(readFileSync(join(dir, "nats-server.conf"), "utf8"), "sync_interval: always")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* NatsServer.start({ dir })
            assert.strictEqual(yield* onJetStream(server.url, ({ messages }) => messages("KEPT")), 0)
          })
        )
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "keeps its configuration for its owner only, and replaces none that Troupe did not write",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const file = join(dir, "nats-server.conf")
        writeFileSync(file, "port: 4222\n")
        const refused = yield* Effect.flip(Effect.scoped(NatsServer.start({ dir })))
        assert.strictEqual(refused.code, "TRP0613")
        assert.strictEqual(readFileSync(file, "utf8"), "port: 4222\n")
        rmSync(file)
        // A link to a file of ours leads elsewhere, too.
        writeFileSync(join(dir, "elsewhere"), "server_name: troupe-1\n")
        symlinkSync(join(dir, "elsewhere"), file)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(NatsServer.start({ dir })))).code, "TRP0613")
        assert.strictEqual(readFileSync(join(dir, "elsewhere"), "utf8"), "server_name: troupe-1\n")
        rmSync(file)
        for (let i = 0; i < 2; i++) yield* Effect.scoped(NatsServer.start({ dir, config: "max_payload: 2MB" }))
        assert.strictEqual(statSync(file).mode & 0o077, 0)
        assert.strictEqual(statSync(join(dir, "nats-server.log")).mode & 0o077, 0)
        const { log } = yield* NatsServer.start()
        assert.strictEqual(statSync(dirname(log)).mode & 0o077, 0)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "says which port is taken",
    () =>
      Effect.gen(function* () {
        const { port } = yield* NatsServer.start()
        const error = yield* Effect.flip(NatsServer.start({ port }))
        assert.strictEqual(error.code, "TRP0022")
        assert.include(error.message, `127.0.0.1:${port}`)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "says why it did not start, with the server's own words",
    () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(NatsServer.start({ config: "no_such_setting: 1" }))
        assert.strictEqual(error.code, "TRP0025")
        assert.include(error.message, "no_such_setting")
        assert.lengthOf(error.message.split(" · "), 4)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("refuses a nats-server that is older than 2.11", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "nats-server")
      writeFileSync(file, "#!/bin/sh\necho 'nats-server: v2.9.10'\n")
      chmodSync(file, 0o755)
      const error = yield* Effect.flip(NatsServer.binary.pipe(Effect.provide(withVariable(file))))
      assert.strictEqual(error.code, "TRP0021")
      assert.include(error.message, "2.9.10")
    }).pipe(Effect.scoped)
  )

  it.live("refuses a NATS_SERVER that is no nats-server", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(NatsServer.binary.pipe(Effect.provide(withVariable("/nowhere/nats-server"))))
      assert.strictEqual(error.code, "TRP0020")
      assert.include(error.message, "/nowhere/nats-server")
    })
  )
})
