import { mkdtempSync, rmSync } from "node:fs"
import { connect as connectTcp } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import postgres from "postgres"

/** A folder for one test, which only we may look into. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Runs a body on a JetStream connection of its own. */
export const onJetStream = <A>(
  url: string,
  body: (tools: {
    readonly publish: (subject: string, data: string) => Promise<unknown>
    readonly addStream: (name: string, subjects: Array<string>) => Promise<unknown>
    readonly messages: (name: string) => Promise<number>
  }) => Promise<A>
): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.promise(() => connect({ servers: url, reconnect: false })),
    (connection) =>
      Effect.promise(async () => {
        const manager = await jetstreamManager(connection)
        return await body({
          publish: (subject, data) => jetstream(connection).publish(subject, data),
          addStream: (name, subjects) => manager.streams.add({ name, subjects }),
          messages: async (name) => (await manager.streams.info(name)).state.messages
        })
      }),
    (connection) => Effect.promise(() => connection.close())
  )

/** Runs a body on a PostgreSQL connection of its own. */
export const onPostgres = <A>(url: string, body: (sql: postgres.Sql) => Promise<A>): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.sync(() => postgres(url, { max: 1, onnotice: () => {} })),
    (sql) => Effect.promise(() => body(sql)),
    (sql) => Effect.promise(() => sql.end({ timeout: 2 }))
  )

export const listens = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connectTcp({ port, host: "127.0.0.1" })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits until a condition holds, 20 s at most. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.sync(condition).pipe(
    Effect.repeat({ until: (ok) => ok, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.die("the condition did not come true in 20 s")
    }),
    Effect.asVoid
  )
