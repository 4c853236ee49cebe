import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import { type Failure, failure } from "../Failure.ts"

/**
 * The first `count` free ports of loopback from `base` up. Not just any that the system gives: those lie where outgoing
 * connections are made, so one could be taken again before the service listens.
 */
export const free = (count: number, base: number): Effect.Effect<ReadonlyArray<number>, Failure> =>
  Effect.gen(function* () {
    const found: Array<number> = []
    for (let port = Math.max(1, base); found.length < count; port++) {
      if (port > 65_535)
        return yield* failure("TRP0101", "--http-port", `there are no ${count} free ports from ${base} up`)
      if (yield* isFree(port)) found.push(port)
    }
    return found
  })

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = createServer()
      .once("error", () => resume(Effect.succeed(false)))
      .listen({ port, host: "127.0.0.1" }, () => server.close(() => resume(Effect.succeed(true))))
  })
