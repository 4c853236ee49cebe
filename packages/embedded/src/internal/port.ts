import { randomInt } from "node:crypto"
import { connect, createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as EmbeddedError from "../EmbeddedError.ts"

const host = "127.0.0.1"

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resume(Effect.succeed(true))))
    return Effect.sync(() => server.close())
  })

// Below the range that systems hand to outgoing connections: while a server restarts, nobody gets its port by chance.
// Not Effect's Random: with a seed of their own, parallel tests would all draw the same one.
const somePort = Effect.sync(() => randomInt(20_000, 32_000))

const free: Effect.Effect<number> = Effect.gen(function* () {
  const port = yield* somePort
  return (yield* isFree(port)) ? port : yield* free
})

export const taken = (port: number): EmbeddedError.EmbeddedError =>
  EmbeddedError.make("portTaken", {
    happened: "the port is taken",
    to: `${host}:${port}`,
    why: "another program listens there",
    todo: `end it (\`ss -ltnp 'sport = :${port}'\` names it), or ask for another port, or for 0 to get a free one`
  })

/** The wanted port if it is free; a free one for 0. */
const claim = (wanted: number): Effect.Effect<number, EmbeddedError.EmbeddedError> =>
  wanted === 0
    ? free
    : Effect.flatMap(isFree(wanted), (ok) => (ok ? Effect.succeed(wanted) : Effect.fail(taken(wanted))))

/** Starts on a port; where any free one will do, a start that finds it taken in the meantime draws another. */
export const on = <A, R>(
  wanted: number,
  start: (port: number) => Effect.Effect<A, EmbeddedError.EmbeddedError, R>
): Effect.Effect<A, EmbeddedError.EmbeddedError, R> =>
  Effect.flatMap(claim(wanted), start).pipe(
    Effect.retry({ while: (error) => wanted === 0 && error.code === EmbeddedError.codes.portTaken, times: 5 })
  )

/** Connects, sends `hello`, and hands the first bytes to `accept`; `false` for everything but an accepted answer. */
export const answers = (
  port: number,
  hello: Uint8Array | undefined,
  accept: (first: Buffer) => boolean
): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect({ port, host })
    const settle = (ok: boolean) => {
      socket.destroy()
      resume(Effect.succeed(ok))
    }
    socket.setTimeout(2_000, () => settle(false))
    socket.once("error", () => settle(false))
    socket.once("close", () => settle(false))
    socket.once("connect", () => {
      if (hello !== undefined) socket.write(hello)
    })
    socket.once("data", (first) => settle(accept(Buffer.from(first))))
    return Effect.sync(() => socket.destroy())
  })
