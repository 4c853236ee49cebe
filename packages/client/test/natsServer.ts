import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { assert } from "@effect/vitest"
import { ClientError, type Reason } from "@troupe/client/node"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** A nats-server of its own for a test that stops it, fills it or forbids things in it. */
export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly wsUrl: string
  /** Its store directory. */
  readonly store: string
  /** What it has logged. */
  readonly log: () => string
  /** Kills it without a word, as a power cut would; the promise resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again, on the same ports and store. */
  start(): Promise<void>
}

export const startNats = async (config = ""): Promise<TestServer> => {
  const scope = Scope.makeUnsafe()
  const wsPort = await freePort()
  const websocket = `websocket { listen: "127.0.0.1:${wsPort}", no_tls: true }`
  const server = await Effect.runPromise(Scope.provide(NatsServer.start({ config: `${websocket}\n${config}` }), scope))
  return {
    url: server.url,
    store: server.store,
    log: () => readFileSync(server.log, "utf8"),
    wsUrl: `ws://127.0.0.1:${wsPort}`,
    kill: () => Effect.runPromise(server.kill("SIGKILL")),
    start: () => Effect.runPromise(server.restart),
    [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** Why it failed on the way; fails itself when it did not. */
export const reasonOf = async (promise: Promise<unknown>): Promise<Reason> => {
  const error = await promise.then(
    (value) => assert.fail(`it did not fail: ${JSON.stringify(value)}`),
    (error: unknown) => error
  )
  assert.instanceOf(error, ClientError)
  return error.reason
}
