import { assert, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { query } from "./database.ts"
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

    const asked = yield* troupe(["consumers", "remove", `${service}.Old`], env)
    assert.strictEqual(asked.code, 1)
    assert.match(asked.err, /^TRP0612 .*--yes is not said; it would delete 1 timers, .* 3 unread commands/)
    const removed = yield* troupe(["consumers", "remove", `${service}.Old`, "--yes", "--json"], env)
    const said = JSON.parse(removed.out)
    assert.deepInclude(said, { removed: `${service}.Old`, commands: 3 })
    assert.deepInclude(said.rows, { state: 1, timer: 1, partition: 16 })
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
    assert.deepStrictEqual(yield* show, { database: row!["id"], service, streams: streams(other) })
    const asked = yield* troupe(["identity", "move", "--service", service], env)
    assert.strictEqual(asked.code, 1)
    assert.match(asked.err, new RegExp(`^TRP0609 .*CMD_${service} goes from database ${other}`))
    assert.deepStrictEqual((yield* show).streams, streams(other), "nothing was done")
    assert.strictEqual((yield* troupe(["identity", "move", "--service", service, "--yes"], env)).code, 0)
    assert.deepStrictEqual(yield* show, { database: row!["id"], service, streams: streams(row!["id"]) })
    const { config } = yield* Effect.promise(() => jsm.streams.info(`CMD_${service}`))
    assert.strictEqual(config.metadata?.["mine"], "kept")
    assert.match((yield* troupe(["identity", "move", "--service", service], env)).out, /nothing to do/)
  }).pipe(Effect.scoped)
)

it.live("troupe doctor tells of a database of another service, and of consumers whose code is gone", () =>
  Effect.gen(function* () {
    const { url } = yield* place
    const nats = yield* NatsServer.start()
    const env = { DATABASE_URL: Redacted.value(url), CLI_ALPHA_DATABASE_URL: Redacted.value(url), NATS_URL: nats.url }
    const findings = Effect.map(
      troupe(["doctor", "--json"], env),
      ({ out }) =>
        (JSON.parse(out) as { findings: ReadonlyArray<Record<"check" | "status" | "says", string>> }).findings
    )
    const of = (check: string) => Effect.map(findings, (all) => all.find((one) => one.check === check))
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
