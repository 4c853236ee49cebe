import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Postgres } from "../src/index.ts"
import { folder, isAlive, listens, onPostgres } from "./servers.ts"

const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : []
  )

/** The arguments of all processes. */
const processes = (): ReadonlyArray<string> =>
  execFileSync("ps", ["-eo", "args"], { encoding: "utf8", maxBuffer: 2 ** 24 }).split("\n")

describe("Postgres", () => {
  it.live(
    "keeps its rows over kill -9 and restart, and is gone when the scope closes",
    () =>
      Effect.gen(function* () {
        const after = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* Postgres.start()
            yield* onPostgres(server.url, async (sql) => {
              await sql`create table kept (id int primary key)`
              await sql`insert into kept values (1)`
            })
            const first = server.pid
            yield* server.kill("SIGKILL")
            assert.isFalse(isAlive(first))
            yield* server.restart
            assert.notStrictEqual(server.pid, first)
            yield* onPostgres(server.url, (sql) => sql`insert into kept values (2)`)
            yield* server.restart
            const rows = yield* onPostgres(server.url, (sql) => sql`select id from kept order by id`)
            assert.deepStrictEqual(
              rows.map(({ id }) => id),
              [1, 2]
            )
            return { port: server.port, pid: server.pid, dataDir: server.dataDir }
          })
        )
        assert.isFalse(isAlive(after.pid))
        assert.isFalse(yield* listens(after.port))
        assert.isFalse(existsSync(after.dataDir))
      }),
    60_000
  )

  it.live(
    "is ready for logical replication, durable, and set as the caller wants",
    () =>
      Effect.gen(function* () {
        const server = yield* Postgres.start({ settings: { deadlock_timeout: "100ms" } })
        const rows = yield* onPostgres(
          server.url,
          (sql) =>
            sql`select name, setting from pg_settings
          where name in ('wal_level', 'fsync', 'max_connections', 'deadlock_timeout', 'listen_addresses') order by name`
        )
        assert.deepStrictEqual(Object.fromEntries(rows.map(({ name, setting }) => [name, setting])), {
          deadlock_timeout: "100",
          fsync: "on",
          listen_addresses: "127.0.0.1",
          max_connections: "300",
          wal_level: "logical"
        })
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "takes no connection without its password",
    () =>
      Effect.gen(function* () {
        const server = yield* Postgres.start()
        const url = new URL(server.url)
        url.password = "guess"
        const code = yield* onPostgres(url.href, (sql) =>
          sql`select 1`.then(
            () => "in",
            ({ code }) => code
          )
        )
        assert.strictEqual(code, "28P01")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "has a password of each start alone, which is in no file, log or list of processes",
    () =>
      Effect.gen(function* () {
        const code = (url: string) =>
          onPostgres(url, (sql) =>
            sql`select 1`.then(
              () => "in",
              ({ code }: { readonly code: string }) => code
            )
          )
        const [one, other] = yield* Effect.all([Postgres.start(), Postgres.start()], { concurrency: 2 })
        const password = new URL(one.url).password
        assert.match(password, /^[\w-]{32}$/)
        const tried = new URL(other.url)
        tried.password = password
        assert.strictEqual(yield* code(tried.href), "28P01", "that of another start")
        // A statement that fails is in the log.
        yield* onPostgres(one.url, (sql) => sql`select ${"is logged"} as`.catch(() => {}))
        assert.include(readFileSync(one.log, "utf8"), "is logged".slice(0, 2))
        for (const file of [one.log, ...filesIn(one.dataDir)]) {
          assert.strictEqual(statSync(file).mode & 0o077, 0, file)
          assert.isFalse(readFileSync(file).includes(password), file)
        }
        for (const line of processes()) assert.notInclude(line, password)
        yield* one.restart
        assert.strictEqual(yield* code(one.url), "in", "a restart keeps it")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "keeps a folder that was named, even where nobody else may look",
    () =>
      Effect.gen(function* () {
        const dir = join(yield* folder, "postgres")
        const before = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* Postgres.start({ dir })
            yield* onPostgres(server.url, (sql) => sql`create table kept as select 7 as id`)
            return new URL(server.url).password
          })
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* Postgres.start({ dir })
            assert.notStrictEqual(new URL(server.url).password, before)
            const rows = yield* onPostgres(server.url, (sql) => sql`select id from kept`)
            assert.deepStrictEqual(
              rows.map(({ id }) => id),
              [7]
            )
            // As root it lies below /var/lib/troupe instead, where no folder of the test takes it along.
            yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(dirname(server.dataDir), { recursive: true })))
          })
        )
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "says which port is taken",
    () =>
      Effect.gen(function* () {
        const { port } = yield* Postgres.start()
        const error = yield* Effect.flip(Postgres.start({ port }))
        assert.strictEqual(error.code, "TRP0022")
        assert.include(error.message, `127.0.0.1:${port}`)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "says why it did not start, with the server's own words",
    () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Postgres.start({ settings: { no_such_setting: "1" } }))
        assert.strictEqual(error.code, "TRP0025")
        assert.include(error.message, "no_such_setting")
      }).pipe(Effect.scoped),
    60_000
  )
})
