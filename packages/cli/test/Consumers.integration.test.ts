import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import { Nats, Topology } from "@troupe/nats"
import { Migrations, Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { database, query } from "./database.ts"
import { place } from "./place.ts"
import { troupe } from "./troupe.ts"

it.live("troupe consumers lists what waits for each, and removes one that nobody runs, with all that it left", () =>
  Effect.gen(function* () {
    const { env, jsm, say, service, url } = yield* place
    yield* query(
      url,
      `insert into troupe.consumer (name, partitions) values ('${service}.Old', 16), ('${service}.New', 16);
       insert into troupe.partition (consumer, p) select c.id, p from troupe.consumer c, generate_series(0, 15) p;
       insert into troupe.state (consumer, key, p, version, shape, body) select id, 'k', 0, 1, 1, '{}' from troupe.consumer;
       insert into troupe.timer (consumer, p, key, name, due, id, stream, subject, headers, body)
         select id, 0, 'k', 't', now(), gen_random_uuid(), '', '', '{}', '' from troupe.consumer`
    )
    for (const key of ["a", "b", "c"]) yield* say("Old", key)
    yield* say("New", "a")
    const listed = JSON.parse((yield* troupe(["consumers", "list", "--json"], env)).out)
    const waiting = { partitions: 16, hosts: 0, timers: 1, parked: 0, dead: 0 }
    assert.deepStrictEqual(listed.consumers, [
      { name: `${service}.New`, ...waiting, commands: 1 },
      { name: `${service}.Old`, ...waiting, commands: 3 }
    ])
    assert.match((yield* troupe(["consumers", "list"], env)).out, new RegExp(`${service}.Old +none +1 +0 +0 +3`))

    // One of the three is handled, and something of the outbox is left.
    yield* query(
      url,
      `insert into troupe.mark (consumer, p, n, pos, cursors)
         select id, p, 1, 1, '{"CMD_${service}":{"seq":1}}' from troupe.consumer, generate_series(0, 15) p where name = '${service}.Old';
       insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
         select 0, id, 0, 1, '', gen_random_uuid(), '', '{}', '' from troupe.consumer where name = '${service}.Old'`
    )
    const asked = yield* troupe(["consumers", "remove", `${service}.Old`], env)
    assert.strictEqual(asked.code, 1)
    assert.match(
      asked.err,
      /^TRP0612 .*--yes is not said; it would delete 16 mark rows, 1 outbox row, .* 1 timer row; /
    )
    assert.include(asked.err, "3 commands (2 unread, 1 handled)")
    const database = (id: string) =>
      Effect.promise(() => jsm.streams.update(`CMD_${service}`, { metadata: { "troupe-database": id } }))
    yield* database(crypto.randomUUID())
    const foreign = yield* troupe(["consumers", "remove", `${service}.Old`, "--yes"], env)
    assert.match(foreign.err, /^TRP0420 /, "the commands of another environment stay")
    const [{ id }] = (yield* query(url, "select id from troupe.identity")) as unknown as [{ id: string }]
    yield* database(id)
    const removed = yield* troupe(["consumers", "remove", `${service}.Old`, "--yes", "--json"], env)
    const said = JSON.parse(removed.out)
    assert.deepInclude(said, { removed: `${service}.Old`, commands: 3, unread: 2 })
    assert.deepInclude(said.rows, { state: 1, timer: 1, outbox: 1, partition: 16 })
    assert.match((yield* troupe(["consumers", "remove", `${service}.Old`, "--yes"], env)).err, /^TRP0611 /)
    const left = yield* query(url, "select c.name from troupe.state s join troupe.consumer c on c.id = s.consumer")
    assert.deepStrictEqual([...left], [{ name: `${service}.New` }])
    const { state } = yield* Effect.promise(() => jsm.streams.info(`CMD_${service}`))
    assert.strictEqual(state.messages, 1, "the other actor's commands stay")
  }).pipe(Effect.scoped)
)

it.live("troupe consumers removes none that a living host runs", () =>
  Effect.gen(function* () {
    const { env, service, url } = yield* place
    yield* query(url, `insert into troupe.consumer (name, partitions) values ('${service}.Old', 16)`)
    const held = Context.get(yield* Layer.build(Sql.layer({ url, max: 1 })), Sql)
    yield* Effect.promise(async () => {
      const host = crypto.randomUUID()
      await held`select pg_advisory_lock_shared(troupe.host_lock(${host}::uuid))`
      await held`insert into troupe.host (id, name, contract, consumers, lease, heartbeat)
        select ${host}::uuid, 'h', 1, array[id], '1 hour', clock_timestamp() from troupe.consumer`
    })
    assert.match(
      (yield* troupe(["consumers", "remove", `${service}.Old`, "--yes"], env)).err,
      /^TRP0612 .*1 living hosts run it/
    )
    yield* Effect.promise(() => held`update troupe.host set consumers = '{}'`)
    assert.strictEqual((yield* troupe(["consumers", "remove", `${service}.Old`, "--yes"], env)).code, 0)
  }).pipe(Effect.scoped)
)

it.live("troupe identity shows a pair, and moves it only with --yes", () =>
  Effect.gen(function* () {
    const { env, jsm, service, url } = yield* place
    const [row] = yield* query(url, "select id from troupe.identity")
    const other = crypto.randomUUID()
    for (const kind of ["CMD", "EVT"])
      yield* Effect.promise(() =>
        jsm.streams.update(`${kind}_${service}`, { metadata: { "troupe-database": other, mine: "kept" } })
      )
    const streams = (database: string) => [
      { stream: `CMD_${service}`, database },
      { stream: `EVT_${service}`, database }
    ]
    const show = Effect.map(troupe(["identity", "show", "--json"], env), ({ out }) => JSON.parse(out))
    assert.deepStrictEqual(yield* show, { database: row!["id"], service, streams: streams(other), match: false })
    const told = yield* troupe(["identity", "show"], env)
    assert.strictEqual(told.code, 1)
    assert.match(told.out, new RegExp(`^they do not belong together: TRP0420 .*CMD_${service}`, "m"))
    const asked = yield* troupe(["identity", "move", "--service", service], env)
    assert.strictEqual(asked.code, 1)
    assert.match(asked.err, new RegExp(`^TRP0609 .*CMD_${service} goes from database ${other}`))
    assert.deepStrictEqual((yield* show).streams, streams(other), "nothing was done")
    assert.strictEqual((yield* troupe(["identity", "move", "--service", service, "--yes"], env)).code, 0)
    assert.deepStrictEqual(yield* show, { database: row!["id"], service, streams: streams(row!["id"]), match: true })
    assert.strictEqual((yield* troupe(["identity", "show"], env)).code, 0)
    const { config } = yield* Effect.promise(() => jsm.streams.info(`CMD_${service}`))
    assert.strictEqual(config.metadata?.["mine"], "kept")
    assert.match((yield* troupe(["identity", "move", "--service", service], env)).out, /nothing to do/)
  }).pipe(Effect.scoped)
)

interface Found {
  readonly check: string
  readonly status: string
  readonly says: string
}

/** What doctor finds under each name; the last one of a name. */
const doctor = (env: Record<string, string | undefined>, args: ReadonlyArray<string> = [], cwd?: string) =>
  Effect.map(
    troupe(["doctor", ...args, "--json"], env, cwd),
    ({ out }) => new Map((JSON.parse(out).findings as ReadonlyArray<Found>).map((one) => [one.check, one]))
  )

it.live("troupe doctor tells of a database of another service, and of consumers whose code is gone", () =>
  Effect.gen(function* () {
    const { url } = yield* place
    const nats = yield* NatsServer.start()
    const env = { DATABASE_URL: Redacted.value(url), CLI_ALPHA_DATABASE_URL: Redacted.value(url), NATS_URL: nats.url }
    const of = (check: string) => Effect.map(doctor(env), (found) => found.get(check))
    const foreign = yield* of("identity of cli-alpha")
    assert.strictEqual(foreign?.status, "fail")
    assert.match(foreign?.says ?? "", /^TRP0512 /)
    yield* query(
      url,
      "update troupe.identity set service = 'cli-alpha'; insert into troupe.consumer (name, partitions) values ('cli-alpha.Gone', 16)"
    )
    assert.strictEqual((yield* of("identity of cli-alpha"))?.status, "ok")
    assert.strictEqual((yield* of("consumer cli-alpha.Gone"))?.status, "warn")
  }).pipe(Effect.scoped)
)

it.live("troupe doctor sees the wrong pair of a service's own database, whatever the database is called", () =>
  Effect.gen(function* () {
    // As in the README's first service: DATABASE_URL is the service's own, and not named after it.
    const { url } = yield* database
    yield* Migrations.run({ url })
    const nats = yield* NatsServer.start()
    const env = { DATABASE_URL: Redacted.value(url), NATS_URL: nats.url }
    const { jsm } = Context.get(yield* Layer.build(Nats.layer({ url: Redacted.make(nats.url) })), Nats)
    yield* Effect.promise(() =>
      jsm.streams.add({
        name: "CMD_cli-alpha",
        subjects: ["cmd.cli-alpha.*.*.*"],
        metadata: { "troupe-database": crypto.randomUUID() }
      })
    )
    const file = "services/alpha/src/main.ts"
    const refused = (found: ReadonlyMap<string, Found>) => {
      assert.deepInclude(found.get("identity of cli-alpha"), { status: "fail" })
      assert.match(found.get("identity of cli-alpha")?.says ?? "", /^TRP0420 /)
    }
    refused(yield* doctor(env, [file]))
    yield* query(url, "update troupe.identity set service = 'cli-alpha'")
    const all = yield* doctor(env)
    refused(all)
    assert.strictEqual(all.get("services")?.says, "cli-alpha, cli-beta")
    assert.strictEqual((yield* doctor(env, [file])).get("services")?.says, "cli-alpha")
    yield* query(url, "update troupe.identity set service = 'another'")
    assert.match((yield* doctor(env, [file])).get("identity of cli-alpha")?.says ?? "", /^TRP0512 /)
  }).pipe(Effect.scoped)
)

it.live("troupe doctor looks at what the servers have from a folder without code, and says what it cannot know", () =>
  Effect.gen(function* () {
    const cwd = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "troupe-doctor-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true }))
    )
    const { url } = yield* database
    yield* Migrations.run({ url })
    const nats = yield* NatsServer.start()
    const env = { DATABASE_URL: Redacted.value(url), NATS_URL: nats.url }
    const empty = yield* doctor(env, [], cwd)
    assert.strictEqual(empty.get("nats clock")?.status, "ok", "no stream is there that could say the time")
    const layer = Nats.layer({ url: Redacted.make(nats.url) })
    yield* Effect.gen(function* () {
      const limits = { ...Topology.limits, maxBytes: 1024 ** 2 }
      for (const service of ["hello", "lonely"]) {
        yield* Topology.ensure("cmd", service, limits)
        yield* Topology.ensure("evt", service, limits)
      }
      const { js } = yield* Nats
      for (let i = 0; i < 50; i++)
        yield* Effect.promise(() => js.publish(`evt.hello.Greeter.greeted.k${i}`, new Uint8Array(200)))
    }).pipe(Effect.scoped, Effect.provide(layer))
    yield* query(
      url,
      `update troupe.identity set service = 'hello';
       insert into troupe.consumer (name, partitions) values ('hello.Gone', 16), ('hello.Greeter', 16), ('hello.outbox', 16)`
    )
    const idle = yield* doctor(env, [], cwd)
    assert.strictEqual(idle.get("identity of hello")?.status, "ok")
    assert.include(idle.get("stream EVT_hello")?.says, "full on ")
    assert.match(idle.get("identity")?.says ?? "", /^the streams of lonely are not compared/)
    assert.match(idle.get("consumers of hello")?.says ?? "", /is not known/)

    const held = Context.get(yield* Layer.build(Sql.layer({ url, max: 1 })), Sql)
    yield* Effect.promise(async () => {
      const host = crypto.randomUUID()
      await held`select pg_advisory_lock_shared(troupe.host_lock(${host}::uuid))`
      await held`insert into troupe.host (id, name, contract, consumers, lease, heartbeat)
        select ${host}::uuid, 'h', 1, array_agg(id), '1 hour', clock_timestamp() from troupe.consumer where name <> 'hello.Gone'`
    })
    const living = yield* doctor(env, [], cwd)
    assert.strictEqual(living.get("consumer hello.Gone")?.status, "warn")
    assert.isFalse(living.has("consumer hello.Greeter"))

    const creds = yield* doctor({ ...env, NATS_CREDS: join(cwd, "none.creds") }, [], cwd)
    assert.match(creds.get("nats")?.says ?? "", /^TRP0412 /)
    const uncompared = creds.get("identity of hello")
    assert.deepInclude(uncompared, { status: "warn" })
    assert.include(uncompared?.says, "is not compared with streams")
    const flag = yield* doctor(env, ["--nats-creds", join(cwd, "none.creds")], cwd)
    assert.match(flag.get("nats")?.says ?? "", /^TRP0412 /)
  }).pipe(Effect.scoped)
)
