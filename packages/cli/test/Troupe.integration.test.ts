import { assert, describe, it } from "@effect/vitest"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { userInfo } from "node:os"
import { NatsServer } from "@troupe/embedded"
import { type DeadLetters, Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { database, query, server } from "./database.ts"
import { type Ended, nowhere, start, troupe } from "./troupe.ts"

const unset = { NATS_URL: undefined, DATABASE_URL: undefined }

/** It failed, said why in one line, and nothing else. */
const failedWith = ({ code, err, out }: Ended, line: RegExp): void => {
  assert.strictEqual(out, "")
  assert.match(err, line)
  assert.strictEqual(err.indexOf("\n"), err.length - 1, err)
  assert.strictEqual(code, 1)
}

describe("troupe", () => {
  it.live("says its version, fast, and as JSON", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* troupe(["--version"])
      assert.match(out, /^troupe \d+\.\d+\.\d+\n$/)
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepInclude(JSON.parse((yield* troupe(["--version", "--json"])).out), { node: process.versions.node })
    })
  )

  it.live("shows help on stdout and mistakes in one line on stderr", () =>
    Effect.gen(function* () {
      const help = yield* troupe(["dead", "--help"])
      assert.include(help.out, "list")
      assert.deepStrictEqual([help.code, help.err], [0, ""])
      failedWith(yield* troupe(["doctr"]), /^TRP0602 .*did you mean doctor\?/)
    })
  )

  it.live("prints a completion script", () =>
    Effect.gen(function* () {
      for (const shell of ["bash", "zsh", "fish"])
        assert.include((yield* troupe(["--completions", shell])).out, "doctor")
    })
  )
})

const main = "services/alpha/src/main.ts"

/** Waits until it is so, 30 s at most. */
const eventually = (is: () => boolean) =>
  Effect.sync(is).pipe(
    Effect.repeat({ until: (yes) => yes, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout("30 seconds")
  )

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A port where nobody listens until it is opened: then it leads to the server, or with none says nothing. */
const gate = (to: URL | undefined) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => {}))
      if (to === undefined) return
      const other = connect(Number(to.port || 4222), to.hostname).on("error", () => socket.destroy())
      sockets.add(other)
      socket.on("close", () => other.destroy())
      other.on("close", () => socket.destroy())
      socket.pipe(other).pipe(socket)
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
    )
    const open = Effect.callback<void>((resume) => {
      server.listen(port, "127.0.0.1", () => resume(Effect.void))
    })
    return { port, open, came: () => sockets.size }
  })

describe("troupe run", () => {
  it.live("says what is missing or wrong, one line each", () =>
    Effect.gen(function* () {
      failedWith(yield* troupe(["run", "none.ts"]), /^TRP0103 .*there is no such file/)
      failedWith(
        yield* troupe(["run", "noService.ts"], nowhere),
        /^TRP0102 .*noService\.ts · its default export is something else/
      )
      failedWith(yield* troupe(["run", main], unset), /^TRP0101 .*NATS_URL/)
      failedWith(yield* troupe(["run", main], { ...unset, NATS_URL: nowhere.NATS_URL }), /^TRP0101 .*DATABASE_URL/)
    })
  )

  it.live("waits for its servers, alive and not ready, and says ready when its endpoint does", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      yield* troupe(["migrate", main], { DATABASE_URL: Redacted.value(url) })
      // Of its own: on the shared one the streams of this service are other databases'.
      const natsUrl = new URL((yield* NatsServer.start()).url)
      const postgresUrl = new URL(Redacted.value(url))
      const nats = yield* gate(natsUrl)
      const postgres = yield* gate(postgresUrl)
      const env = {
        NATS_URL: Object.assign(new URL(natsUrl), { port: String(nats.port) }).href.replace(/\/$/, ""),
        DATABASE_URL: Object.assign(new URL(postgresUrl), { port: String(postgres.port), hostname: "127.0.0.1" }).href
      }
      const http = yield* freePort
      const running = yield* start(["run", main, "--http-port", String(http), "--json"], env)
      const status = (path: string) =>
        Effect.promise(() => fetch(`http://127.0.0.1:${http}/${path}`).then((answer) => answer.status))
      const says = (code: string) => eventually(() => running.err().includes(code))
      yield* says("TRP0401")
      const all = Effect.all([status("livez"), status("readyz"), status("startupz"), status("metrics")])
      assert.deepStrictEqual(yield* all, [200, 503, 503, 200])
      yield* nats.open
      yield* says("TRP0501")
      assert.deepStrictEqual(yield* all, [200, 503, 503, 200])
      assert.strictEqual(running.out(), "")
      assert.notInclude(running.err(), postgresUrl.password || "\u0000")
      yield* postgres.open
      const said = JSON.parse(yield* running.line)
      assert.strictEqual(said.url, `http://127.0.0.1:${http}`)
      assert.deepStrictEqual(yield* all, [200, 200, 200, 200], "what it says and what its endpoint says is the same")
      running.process.kill("SIGTERM")
      assert.strictEqual((yield* running.ended).code, 0)
    })
  )

  it.live("runs a gateway that waits for NATS in the same way", () =>
    Effect.gen(function* () {
      const nats = yield* gate(new URL(process.env["NATS_URL"]!))
      const env = { NATS_URL: `nats://127.0.0.1:${nats.port}`, TROUPE_AUTH: "none" }
      const http = yield* freePort
      const running = yield* start(["run", "front.ts", "--http-port", String(http), "--json"], env)
      const status = (path: string) =>
        Effect.promise(() => fetch(`http://127.0.0.1:${http}/${path}`).then((answer) => answer.status))
      yield* eventually(() => running.err().includes("TRP0401"))
      assert.deepStrictEqual(yield* Effect.all([status("livez"), status("readyz")]), [200, 503])
      yield* nats.open
      assert.strictEqual(JSON.parse(yield* running.line).url, `http://127.0.0.1:${http}`)
      assert.deepStrictEqual(yield* Effect.all([status("livez"), status("readyz")]), [200, 200])
    })
  )

  it.live(
    "is ended at once by SIGTERM while it waits for a server that says nothing, and exits with 0 as its help says",
    () =>
      Effect.gen(function* () {
        const silent = yield* gate(undefined)
        yield* silent.open
        const env = { NATS_URL: `nats://127.0.0.1:${silent.port}`, DATABASE_URL: nowhere.DATABASE_URL }
        const running = yield* start(["run", main, "--http-port", "0"], env)
        yield* eventually(() => silent.came() > 0)
        const since = performance.now()
        running.process.kill("SIGTERM")
        assert.strictEqual((yield* running.ended).code, 0)
        assert.isBelow(performance.now() - since, 5_000)
      })
  )

  it.live(
    "ends at once with what no waiting mends: a wrong password, a database that is not there or not migrated",
    () =>
      Effect.gen(function* () {
        const { name, url } = yield* database
        yield* query(server, `create role ${name}_r login password 'right'`)
        const as = (change: Partial<Record<"username" | "password" | "pathname", string>>) => ({
          DATABASE_URL: Object.assign(new URL(Redacted.value(url)), change).href
        })
        failedWith(yield* troupe(["run", main, "--http-port", "0"], as({})), /^TRP0503 /)
        failedWith(yield* troupe(["run", main, "--http-port", "0"], as({ pathname: "/none" })), /^TRP0501 .*none/)
        failedWith(
          yield* troupe(["run", main, "--http-port", "0"], as({ username: `${name}_r`, password: "wrong" })),
          /^TRP0501 .*password authentication failed/
        )
      })
  )
})

describe("troupe migrate", () => {
  it.live("applies the schema troupe, then the service's own files; the second time nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const env = { DATABASE_URL: Redacted.value(url) }
      const first = yield* troupe(["migrate", "services/alpha/src/main.ts"], env)
      assert.strictEqual(first.err, "")
      assert.match(
        first.out,
        /applied troupe\/0001_troupe\.sql to postgres:[^\n]*\n(?:applied troupe\/.*\n)*applied app\/0001_greeting\.sql to /
      )
      assert.notInclude(first.out, new URL(Redacted.value(url)).password || "\u0000")
      assert.deepStrictEqual([...(yield* query(url, "select id from app.greeting"))], [])
      const again = yield* troupe(["migrate", "services/alpha/src/main.ts", "--json"], env)
      assert.deepInclude(JSON.parse(again.out).databases[0], { service: "cli-alpha", applied: [] })
    })
  )

  it.live("wants a database for each of several services", () =>
    Effect.gen(function* () {
      failedWith(
        yield* troupe(["migrate"], nowhere),
        /^TRP0101 .*2 services need a database each: name one file, or set CLI_ALPHA_DATABASE_URL, CLI_BETA_DATABASE_URL/
      )
    })
  )

  it.live("refuses the database of another service, and applies nothing to it", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      yield* Migrations.run({ url })
      yield* query(url, "update troupe.identity set service = 'hello'")
      const refused = yield* troupe(["migrate", "services/alpha/src/main.ts"], { DATABASE_URL: Redacted.value(url) })
      failedWith(refused, /^TRP0512 .*it is of hello, and this is cli-alpha/)
      const [row] = yield* query(url, "select to_regclass('app.greeting') as greeting")
      assert.isNull(row?.["greeting"])
    })
  )

  it.live("takes the flag before the environment", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const { code } = yield* troupe(
        ["migrate", "services/beta/src/main.ts", "--database-url", Redacted.value(url)],
        nowhere
      )
      assert.strictEqual(code, 0)
    })
  )
})

/** Three dead letters of one actor. */
const letters = `
  insert into troupe.consumer (name, partitions) values ('orders.Order', 16), ('orders.journal', 16);
  insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
  select 1, 3, 'o-' || n, 'm-' || n, 'CMD_orders', n, 'cmd.orders.3.Order.place.o-' || n,
    '{"ce-type":"orders.Order.place"}', convert_to('{"cents":' || n || '}', 'UTF8'), 'TRP0301', 'boom ' || n
  from generate_series(1, 3) n`

/** Does what is wished for these dead letters, as the owner of their partition would, once all of it is wished. */
const owner = (url: Redacted.Redacted, results: { readonly [dead: number]: DeadLetters.WishResult }) =>
  Effect.gen(function* () {
    const dead = Object.keys(results)
    const open = query(
      url,
      `select id, dead, kind, by from troupe.wish where done is null and dead in (${dead}) order by id`
    )
    const wishes = yield* Effect.repeat(open, {
      until: (rows) => rows.length === dead.length,
      schedule: Schedule.spaced("20 millis")
    })
    for (const { dead, id } of wishes) {
      const result = JSON.stringify(results[Number(dead)])
      yield* query(url, `update troupe.wish set done = now(), result = '${result}' where id = ${id}`)
    }
    return wishes.map(({ by, dead, kind }) => [Number(dead), kind, by])
  })

describe("troupe dead redrive, troupe dead discard", () => {
  const setUp = Effect.gen(function* () {
    const { url } = yield* database
    yield* Migrations.run({ url })
    yield* query(url, letters)
    return { url, env: { DATABASE_URL: Redacted.value(url) } }
  })

  it.live("wish it of the owner, and say what became of each", () =>
    Effect.gen(function* () {
      const { env, url } = yield* setUp
      const one = yield* start(["dead", "redrive", "2", "--by", "ada"], env)
      assert.deepStrictEqual(yield* owner(url, { 2: { messageId: "new-2" } }), [[2, "redrive", "ada"]])
      assert.deepStrictEqual(yield* one.ended, { code: 0, out: "2 redriven as new-2\n", err: "" })

      const several = yield* start(["dead", "discard", "3", "1", "3", "9", "--json"], env)
      const done = yield* owner(url, { 1: { code: "TRP0604", why: "it cannot be" }, 3: { messageId: "" } })
      assert.deepStrictEqual(
        done.map(([dead, kind]) => [dead, kind]),
        [
          [1, "discard"],
          [3, "discard"]
        ],
        "the oldest first, each once"
      )
      assert.strictEqual(done[0]![2], userInfo().username)
      const { code, err, out } = yield* several.ended
      assert.strictEqual(code, 1)
      const json = JSON.parse(out)
      assert.deepStrictEqual(json.discarded, [{ id: 3 }])
      assert.sameMembers(
        json.failed.map((one: { id: number; code: string }) => `${one.id} ${one.code}`),
        ["1 TRP0604", "9 TRP0601"]
      )
      assert.match(err, /^TRP0604 the dead letter stays · 1 · it cannot be · /m)
      assert.match(err, /^TRP0601 no such dead letter · 9 · /m)
    }).pipe(Effect.scoped)
  )

  it.live("keep what nobody does in time, and say so; list and show tell it", () =>
    Effect.gen(function* () {
      const { env, url } = yield* setUp
      // Of so many some wait for a place: they are wished all the same, and hardly waited for.
      yield* query(
        url,
        `insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
         select consumer, p, key, message_id, stream, n, subject, headers, body, code, reason
           from troupe.dead, generate_series(1, 97) n where id = 1`
      )
      const ended = yield* troupe(["dead", "redrive", "--all", "--timeout", "1", "--by", "ada"], env)
      assert.strictEqual(ended.code, 1)
      assert.strictEqual(ended.out, "")
      const lines = ended.err.trimEnd().split("\n")
      assert.strictEqual(lines.length, 100)
      const waited = lines.map(
        (line) => /^TRP0605 nobody has done it yet · \d+ · after (\S+) · .*is kept/.exec(line)?.[1]
      )
      assert.deepStrictEqual(new Set(waited), new Set(["1s", "100ms"]))
      const wishes = yield* query(url, "select dead from troupe.wish where done is null order by id")
      assert.deepStrictEqual(
        wishes.map((row) => Number(row["dead"])),
        Array.from({ length: 100 }, (_, i) => i + 1)
      )
      const { out } = yield* troupe(["dead", "list", "--json"], env)
      assert.deepInclude(JSON.parse(out).dead[0].wished, { kind: "redrive", by: "ada" })
      assert.match((yield* troupe(["dead", "show", "2"], env)).out, /^wished +redrive, by ada at .*, not done yet$/m)
    }).pipe(Effect.scoped)
  )

  it.live("take all of a code or of a consumer, as list does", () =>
    Effect.gen(function* () {
      const { env, url } = yield* setUp
      yield* query(
        url,
        "update troupe.dead set code = 'TRP0302' where id = 1; update troupe.dead set consumer = 2 where id = 2"
      )
      const which = ["--code", "TRP0301", "--consumer", "orders.Order"]
      const { out } = yield* troupe(["dead", "list", ...which, "--json"], env)
      assert.deepStrictEqual(
        JSON.parse(out).dead.map((one: { id: number }) => one.id),
        [3]
      )
      const running = yield* start(["dead", "discard", "--all", ...which], env)
      yield* owner(url, { 3: { messageId: "" } })
      assert.deepStrictEqual(yield* running.ended, { code: 0, out: "3 discarded\n", err: "" })
      const none = yield* troupe(["dead", "discard", "--all", "--code", "TRP0209"], env)
      assert.deepStrictEqual(none, { code: 0, out: "no dead letters\n", err: "" })
    }).pipe(Effect.scoped)
  )

  it.live("want ids or --all", () =>
    Effect.gen(function* () {
      failedWith(yield* troupe(["dead", "redrive"], nowhere), /^TRP0602 .*name ids, or --all/)
      failedWith(yield* troupe(["dead", "redrive", "1", "--all"], nowhere), /^TRP0602 .*name ids, or --all/)
      failedWith(yield* troupe(["dead", "discard", "1", "--code", "TRP0301"], nowhere), /^TRP0602 .*go with --all/)
    })
  )
})

describe("troupe dead", () => {
  it.live("lists and shows what was given up", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const env = { DATABASE_URL: Redacted.value(url) }
      failedWith(yield* troupe(["dead", "list"], env), /^TRP0503 .*troupe migrate/)
      yield* Migrations.run({ url })
      assert.strictEqual((yield* troupe(["dead", "list"], env)).out, "no dead letters\n")
      yield* query(url, letters)
      const { out } = yield* troupe(["dead", "list", "--limit", "2"], env)
      assert.deepStrictEqual(out.match(/boom \d/g), ["boom 3", "boom 2"])
      const json = JSON.parse((yield* troupe(["dead", "list", "--json"], env)).out)
      assert.strictEqual(json.dead.length, 3)
      assert.deepInclude(json.dead[0], { id: 3, key: "o-3", code: "TRP0301", reason: "boom 3", bytes: 11 })
      const shown = yield* troupe(["dead", "show", "2"], env)
      assert.include(shown.out, "ce-type: orders.Order.place")
      assert.include(shown.out, '\n  {\n    "cents": 2\n  }\n')
      const letter = JSON.parse((yield* troupe(["dead", "show", "2", "--json"], env)).out)
      assert.deepStrictEqual(letter.payload, { encoding: "json", text: '{\n  "cents": 2\n}', truncated: false })
      failedWith(yield* troupe(["dead", "show", "4"], env), /^TRP0601 no such dead letter · 4 /)
    })
  )

  it.live("looks into the database that dev made for a service", () =>
    Effect.gen(function* () {
      const { name, url } = yield* database
      yield* query(url, `create database ${name}_orders`)
      const of = (path: string) => Redacted.make(Redacted.value(url).replace(/\/[^/]*$/, `/${path}`))
      yield* Migrations.run({ url: of(`${name}_orders`) })
      const list = (path: string) =>
        troupe(["dead", "list", "--service", "orders"], { DATABASE_URL: Redacted.value(of(path)) })
      for (const path of [name, `${name}_orders`]) assert.strictEqual((yield* list(path)).out, "no dead letters\n")
      yield* query(of(`${name}_orders`), "update troupe.identity set service = 'hello'")
      failedWith(yield* list(name), /^TRP0512 .*it is of hello, and this is orders/)
      // The database of a service need not be named after it.
      const hello = troupe(["dead", "list", "--service", "hello"], {
        DATABASE_URL: Redacted.value(of(`${name}_orders`))
      })
      assert.strictEqual((yield* hello).out, "no dead letters\n")
    })
  )
})
