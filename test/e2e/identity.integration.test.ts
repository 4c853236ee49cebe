import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Migrations } from "@troupe/postgres"
import { connected } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { tables } from "./src/counters.ts"
import * as World from "./src/world.ts"

let databases = 0

/** Another database on the same server, as an environment of its own has; `of`: a copy of that one. */
const another = (world: World.World, of?: string) =>
  Effect.gen(function* () {
    const name = `${new URL(world.databaseUrl).pathname.slice(1)}_${++databases}`
    const server = yield* connected(process.env["DATABASE_URL"]!)
    yield* Effect.acquireRelease(
      Effect.promise(() => server.unsafe(`create database ${name} ${of === undefined ? "" : `template ${of}`}`)),
      () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
    )
    const databaseUrl = Object.assign(new URL(world.databaseUrl), { pathname: `/${name}` }).href
    const sql = yield* connected(databaseUrl)
    if (of === undefined) {
      yield* Migrations.run({ url: Redacted.make(databaseUrl) })
      yield* Effect.promise(() => sql.unsafe(tables))
    }
    return { databaseUrl, sql }
  })

const add = (world: World.World, key: string) =>
  Effect.provide(ask(world.contract.Counter.at(key).add({ n: 1 }), { timeout: "30 seconds" }), world.client)

const marks = (world: World.World) =>
  Effect.promise(() =>
    Promise.all(
      ["CMD", "EVT"].map(
        async (kind) => (await world.jsm.streams.info(`${kind}_${world.name}`)).config.metadata?.["troupe-database"]
      )
    )
  )

/** As older code made them. */
const unmark = (world: World.World) =>
  Effect.promise(async () => {
    for (const kind of ["CMD", "EVT"]) await world.jsm.streams.update(`${kind}_${world.name}`, { metadata: {} })
  })

const ended = (host: World.HostProcess) => host.ended.pipe(Effect.timeout("30 seconds"), Effect.orDie)

/** It ended by itself, and said why. */
const refused = (host: World.HostProcess, code: string) =>
  Effect.gen(function* () {
    assert.strictEqual(host.url, "", "it never got ready")
    assert.deepStrictEqual(yield* ended(host), { code: 1, signal: null })
    assert.include(host.output(), code)
  })

it.live("a second environment of a service on one NATS is refused, and the first one goes on", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    yield* world.start()
    assert.strictEqual(yield* add(world, "a"), 1)
    const [id] = yield* Effect.promise(() => world.sql`select id from troupe.identity`)
    assert.deepStrictEqual(yield* marks(world), [id!["id"], id!["id"]])
    const { databaseUrl, sql } = yield* another(world)
    yield* refused(yield* world.start({ databaseUrl }), "TRP0420")
    assert.strictEqual(yield* add(world, "a"), 2)
    const [handled] = yield* Effect.promise(() => sql`select count(*)::int as n from troupe.state`)
    assert.strictEqual(handled!["n"], 0, "the second one has handled nothing")
  }).pipe(Effect.scoped)
)

it.live("a second service on one database is refused, and the first one goes on", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    yield* world.start()
    const name = `${world.name}-other`
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        for (const kind of ["CMD", "EVT"]) await world.jsm.streams.delete(`${kind}_${name}`).catch(() => {})
      })
    )
    yield* refused(yield* world.start({ name }), "TRP0512")
    assert.strictEqual(yield* add(world, "a"), 1)
    const names = yield* Effect.promise(() => world.sql`select name from troupe.consumer where name like ${`${name}%`}`)
    assert.deepStrictEqual([...names], [], "it has registered nothing")
  }).pipe(Effect.scoped)
)

it.live("of two environments that start at once on streams that nobody has marked, exactly one gets ready", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const first = yield* world.start()
    first.kill("SIGTERM")
    yield* ended(first)
    yield* Effect.promise(() => world.sql`delete from troupe.identity`)
    yield* Effect.promise(() => world.sql`insert into troupe.identity default values`)
    yield* unmark(world)
    const { databaseUrl } = yield* another(world)
    const hosts = yield* Effect.all([world.start(), world.start({ databaseUrl })], { concurrency: 2 })
    const ready = hosts.filter(({ url }) => url !== "")
    assert.strictEqual(ready.length, 1)
    yield* refused(
      hosts.find(({ url }) => url === "")!,
      "TRP0420"
    )
    const [mark, other] = yield* marks(world)
    assert.isDefined(mark)
    assert.strictEqual(mark, other)
  }).pipe(Effect.scoped)
)

it.live("what belonged together goes on: old streams, streams made anew, and a copy of the database", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const through = (settings: Parameters<World.World["start"]>[0], total: number) =>
      Effect.gen(function* () {
        const host = yield* world.start(settings)
        assert.notStrictEqual(host.url, "")
        assert.strictEqual(yield* add(world, "a"), total)
        host.kill("SIGTERM")
        yield* ended(host)
      })
    yield* through({}, 1)
    const [before] = yield* marks(world)
    // A deploy of this code on streams of older code.
    yield* unmark(world)
    yield* through({}, 2)
    assert.deepStrictEqual(yield* marks(world), [before, before])
    // Streams that were deleted.
    for (const kind of ["CMD", "EVT"]) yield* Effect.promise(() => world.jsm.streams.delete(`${kind}_${world.name}`))
    yield* through({}, 3)
    assert.deepStrictEqual(yield* marks(world), [before, before])
    // A restored copy, as after a failover.
    yield* Effect.promise(
      () => world.sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`
    )
    yield* Effect.promise(() => world.sql.end())
    const { databaseUrl } = yield* another(world, new URL(world.databaseUrl).pathname.slice(1))
    yield* through({ databaseUrl }, 4)
  }).pipe(Effect.scoped)
)

it.live("a host whose streams were given to another database handles nothing more, and says so until it is ended", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const host = yield* world.start()
    const id = crypto.randomUUID()
    for (const kind of ["CMD", "EVT"])
      yield* Effect.promise(() =>
        world.jsm.streams.update(`${kind}_${world.name}`, { metadata: { "troupe-database": id } })
      )
    const { trouble } = yield* World.until(
      async () => {
        const response = await fetch(`${host.url}/livez`)
        return { status: response.status, ...((await response.json()) as { trouble: ReadonlyArray<string> }) }
      },
      ({ status }) => status === 503
    )
    assert.match(trouble[0]!, /^TRP0420 /)
    yield* World.until(
      () => world.sql`select host from troupe.partition where host is not null`,
      (owned) => owned.length === 0
    )
  }).pipe(Effect.scoped)
)

it.live("older code that knows of no identity starts beside a marked pair", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    yield* world.start()
    // What an older host checks of a stream is its shape.
    const { Topology } = yield* Effect.promise(() => import("@troupe/nats"))
    for (const kind of ["cmd", "evt"] as const) {
      const { config } = yield* Effect.promise(() => world.jsm.streams.info(`${kind.toUpperCase()}_${world.name}`))
      assert.isDefined(config.metadata?.["troupe-database"])
      assert.deepStrictEqual(Topology.differences(config, kind, world.name, 16), [])
    }
  }).pipe(Effect.scoped)
)
