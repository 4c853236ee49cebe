import { connect, createServer, type AddressInfo, type Socket } from "node:net"
import { assert, it } from "@effect/vitest"
import * as Link from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** A server that sends back what it hears. */
const echo = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createServer>>((resume) => {
    const server = createServer((socket) => void socket.on("error", () => {}).pipe(socket))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

const dial = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => connect(port, "127.0.0.1").on("error", () => {})),
    (socket) => Effect.sync(() => socket.destroy())
  )
const hear = (socket: Socket, bytes: number) =>
  Effect.callback<string>((resume) => {
    let heard = ""
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1")
      if (heard.length >= bytes) resume(Effect.succeed(heard))
    })
  })
const closed = (socket: Socket) =>
  Effect.callback<void>((resume) => {
    socket.once("close", () => resume(Effect.void))
  })

const linked = Effect.gen(function* () {
  const server = yield* echo
  const link = yield* Link.make((server.address() as AddressInfo).port)
  return { link, socket: yield* dial(link.port) }
})

it.live("passes everything on, in order, also what is more than a buffer", () =>
  Effect.gen(function* () {
    const { socket } = yield* linked
    const text = Array.from({ length: 200_000 }, (_, i) => `${i},`).join("")
    socket.write(text)
    assert.isTrue((yield* hear(socket, text.length)) === text)
  }).pipe(Effect.scoped)
)

it.live("a cut ends what is there and what comes, until it is mended", () =>
  Effect.gen(function* () {
    const { link, socket } = yield* linked
    socket.write("a")
    yield* hear(socket, 1)
    const ending = closed(socket)
    assert.strictEqual(link.cut(), 1)
    yield* ending
    const refused = yield* dial(link.port)
    yield* closed(refused)
    link.mend()
    const again = yield* dial(link.port)
    again.write("b")
    assert.strictEqual(yield* hear(again, 1), "b")
  }).pipe(Effect.scoped)
)

it.live("a connection that is stranded says nothing, nor that it ended; new ones work", () =>
  Effect.gen(function* () {
    const { link, socket } = yield* linked
    socket.write("a")
    yield* hear(socket, 1)
    assert.strictEqual(link.strand(), 1)
    socket.write("b")
    yield* Effect.sync(() => link.hindered()).pipe(
      Effect.repeat({ until: (chunks) => chunks === 1, schedule: Schedule.spaced("1 millis") })
    )
    const another = yield* dial(link.port)
    another.write("c")
    assert.strictEqual(yield* hear(another, 1), "c")
    assert.isFalse(socket.destroyed)
  }).pipe(Effect.scoped)
)

it.live("silence holds everything back and loses nothing; slowness is counted", () =>
  Effect.gen(function* () {
    const { link, socket } = yield* linked
    socket.write("a")
    yield* hear(socket, 1)
    link.silence()
    socket.write("b")
    yield* Effect.sync(() => link.hindered()).pipe(
      Effect.repeat({ until: (chunks) => chunks === 1, schedule: Schedule.spaced("1 millis") })
    )
    link.mend()
    assert.strictEqual(yield* hear(socket, 1), "b")
    link.slow(5)
    socket.write("c")
    assert.strictEqual(yield* hear(socket, 1), "c")
    assert.strictEqual(link.hindered(), 3, "there and back")
  }).pipe(Effect.scoped)
)

it.live("links of one cluster are struck together", () =>
  Effect.gen(function* () {
    const server = yield* echo
    const { port } = server.address() as AddressInfo
    const links = [yield* Link.make(port), yield* Link.make(port)] as const
    const link = Link.join([...links])
    const sockets = yield* Effect.forEach(links, ({ port }) => dial(port))
    for (const socket of sockets) socket.write("a")
    yield* Effect.forEach(sockets, (socket) => hear(socket, 1))
    assert.strictEqual(link.connections(), 2)
    const ending = Effect.forEach(sockets, closed, { concurrency: 2 })
    assert.strictEqual(link.cut(), 2)
    yield* ending
  }).pipe(Effect.scoped)
)
