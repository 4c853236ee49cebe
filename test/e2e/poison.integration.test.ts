import { createConnection } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { ask, type Client, type ClientError } from "@troupe/client"
import { Outbox } from "@troupe/outbox"
import { DeadLetters } from "@troupe/postgres"
import { drizzle } from "drizzle-orm/postgres-js"
import * as Effect from "effect/Effect"
import postgres from "postgres"
import * as World from "./src/world.ts"

/** Whatever came before, the key and its whole partition go on. */
const goesOn = (world: World.World) =>
  Effect.gen(function* () {
    const key = world.contract.Counter.at("k")
    const before = yield* ask(key.add({ n: 0 }))
    assert.strictEqual(yield* ask(key.add({ n: 1 })), before + 1)
  })

const rejected = (code: string) => (error: unknown) => {
  const { reason } = error as ClientError
  assert.deepInclude(reason, { _tag: "Rejected", code })
}

/** A message as no client of ours would send it: its headers may hold anything but a line break. */
const raw = (world: World.World, wire: Record<string, string>) =>
  Effect.promise(async () => {
    const all = headers()
    for (const [name, value] of Object.entries(wire)) all.set(name, value)
    await jetstream(world.nats).publish(`cmd.${world.name}.Counter.add.k`, `{"n":1}`, { headers: all })
  })

const poisons: Record<string, (world: World.World) => Effect.Effect<unknown, unknown, Client>> = {
  "a handler that stages what no type allows": ({ contract }) =>
    Effect.map(Effect.flip(ask(contract.Counter.at("k").junk())), rejected("TRP0303")),
  "a statement that its driver refuses": ({ contract }) =>
    Effect.map(Effect.flip(ask(contract.Counter.at("k").abuse({ statement: "date" }))), rejected("TRP0301")),
  "a statement that ends in an internal error": ({ contract }) =>
    Effect.map(
      Effect.flip(
        ask(
          contract.Counter.at("k").abuse({
            statement: "do $$ begin raise exception 'broken' using errcode = 'XX000'; end $$"
          })
        )
      ),
      rejected("TRP0301")
    ),
  "a statement that never ends": ({ contract }) =>
    Effect.map(
      Effect.flip(
        ask(contract.Counter.at("k").abuse({ statement: "select pg_sleep(600)" }), { timeout: "50 seconds" })
      ),
      rejected("TRP0302")
    ),
  "a statement that waits for somebody else's lock": (world) =>
    Effect.gen(function* () {
      const other = yield* Effect.promise(() => world.sql.reserve())
      yield* Effect.promise(() => other`begin`)
      yield* Effect.promise(() => other`lock table app.recorded`)
      const record = world.contract.Counter.at("k").record({ n: 1, then: "reply" })
      yield* Effect.map(Effect.flip(ask(record, { timeout: "50 seconds" })), rejected("TRP0302"))
      yield* Effect.promise(() => other`rollback`)
      other.release()
    }),
  "an id of 40 kB": (world) =>
    Effect.gen(function* () {
      yield* raw(world, { "ce-id": "i".repeat(40_000), "ce-type": `${world.name}.Counter.add`, "ce-source": "test" })
      const [letter] = yield* World.until(
        () => Effect.runPromise(DeadLetters.list(world.sql)),
        (letters) => letters.length > 0
      )
      assert.strictEqual(letter!.code, "TRP0203")
    }),
  "an id with a null character": (world) =>
    Effect.gen(function* () {
      // No client library writes this: a socket does.
      const { hostname, port } = new URL(world.natsUrl)
      const wire = `NATS/1.0\r\nce-id: a\0b\r\nce-type: ${world.name}.Counter.nope\r\nce-source: test\r\n\r\n`
      const publish = `HPUB cmd.${world.name}.Counter.nope.k ${wire.length} ${wire.length + 2}\r\n${wire}{}\r\n`
      yield* Effect.callback<void>((resume) => {
        const socket = createConnection(Number(port), hostname)
        socket.end(`CONNECT {"headers":true,"verbose":false}\r\n${publish}PING\r\n`)
        socket.on("close", () => resume(Effect.void)).resume()
      })
      const [letter] = yield* World.until(
        () => Effect.runPromise(DeadLetters.list(world.sql)),
        (letters) => letters.length > 0
      )
      assert.strictEqual(letter!.code, "TRP0202")
      assert.strictEqual(letter!.messageId, "a\u2400b")
    }),
  "commands that stage more together than one commit should carry": ({ contract }) =>
    Effect.forEach(
      Array.from({ length: 40 }, (_, i) => i),
      (i) => ask(contract.Counter.at(`big ${i}`).shout({ length: 900_000 }), { timeout: "50 seconds" }),
      { concurrency: "unbounded" }
    ),
  "an enqueued message that no server takes": (world) =>
    Effect.gen(function* () {
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(world.databaseUrl, { max: 1, onnotice: () => {} })),
        (pool) => Effect.promise(() => pool.end())
      )
      const insert = (to: ReadonlyArray<string>) =>
        Effect.promise(() =>
          drizzle(pool).transaction((tx) => Outbox.insert(tx, world.contract.Counter.at("k").spread({ to })))
        )
      yield* insert(["x".repeat(1_600_000)])
      yield* insert(["after"])
      const [letter] = yield* World.until(
        () => Effect.runPromise(DeadLetters.list(world.sql)),
        (letters) => letters.length > 0
      )
      assert.strictEqual(letter!.code, "TRP0207")
      assert.isAbove(letter!.body.length, 1_600_000, "kept whole")
      yield* World.until(
        () => world.sql`select total from app.log where key = 'after'`,
        (rows) => rows.length === 1
      )
    }).pipe(Effect.scoped)
}

describe("nothing in front of a message stops it", () => {
  for (const [poison, send] of Object.entries(poisons)) {
    it.live(
      poison,
      () =>
        Effect.gen(function* () {
          const world = yield* World.make
          yield* world.start({ parking: { attempts: 1 } })
          yield* Effect.andThen(send(world), goesOn(world)).pipe(Effect.provide(world.client))
        }).pipe(Effect.scoped),
      90_000
    )
  }
})
