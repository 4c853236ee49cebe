import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import tls from "node:tls"
import { assert, it } from "@effect/vitest"
import { connect, layer as client, Client } from "@troupe/client/node"
import { NatsServer, Postgres } from "@troupe/embedded"
import { Nats } from "@troupe/nats"
import { Migrations, Sql } from "@troupe/postgres"
import { connected, startHost, until } from "@troupe/test-world"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { authority, type Authority, type Certified } from "./src/certificates.ts"
import { counters } from "./src/counters.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-tls-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The authority is one of those that Node.js takes, as by NODE_EXTRA_CA_CERTS. */
const known = Effect.acquireRelease(
  Effect.promise(async () => {
    const made = await authority("known")
    const before = tls.getCACertificates("default")
    tls.setDefaultCACertificates([...before, made.cert])
    return { made, before }
  }),
  ({ before }) => Effect.sync(() => tls.setDefaultCACertificates(before))
).pipe(Effect.map(({ made }) => made))

/** A nats-server on 127.0.0.1 with a certificate; its port. */
const natsWith = (dir: string, name: string, { cert, key }: Certified) =>
  Effect.gen(function* () {
    const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    const config = `tls { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`
    return yield* NatsServer.start({ config })
  })

/** One for each kind of certificate: for the address, for the name, for others, and one that nobody known has signed. */
const certificates = (known: Authority, unknown: Authority) =>
  Effect.promise(async () => ({
    address: await known.certify({ ip: "127.0.0.1" }),
    name: await known.certify({ dns: "localhost" }),
    otherAddress: await known.certify({ ip: "127.0.0.2" }),
    otherName: await known.certify({ dns: "nats.example" }),
    unknown: await unknown.certify({ ip: "127.0.0.1" })
  }))

type Kind = Effect.Success<ReturnType<typeof certificates>> extends infer C ? keyof C : never

/** How a server may be named, and with which certificates it is believed. */
const fits: { readonly [host: string]: ReadonlyArray<Kind> } = { "127.0.0.1": ["address"], localhost: ["name"] }

it.live(
  "a nats-server is verified against the name or the address in its url, by hosts and by clients",
  () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const certified = yield* certificates(yield* known, yield* Effect.promise(() => authority("unknown")))
      const servers = yield* Effect.forEach(
        Object.entries(certified),
        ([kind, one]) => Effect.map(natsWith(dir, kind, one), ({ port }) => ({ kind: kind as Kind, port })),
        { concurrency: "unbounded" }
      )
      for (const { kind, port } of servers)
        for (const [host, believed] of Object.entries(fits))
          for (const scheme of ["tls", "nats"]) {
            const url = `${scheme}://${host}:${port}`
            const what = `${url} with a certificate for ${kind}`
            const ofHost = yield* Effect.exit(Effect.scoped(Layer.build(Nats.layer({ url: Redacted.make(url) }))))
            const ofClient = yield* Effect.exit(
              Effect.scoped(Layer.build(client({ servers: url, timeout: "300 millis" })))
            )
            assert.strictEqual(Exit.isSuccess(ofHost), believed.includes(kind), `host: ${what}`)
            assert.strictEqual(Exit.isSuccess(ofClient), believed.includes(kind), `client: ${what}`)
            if (believed.includes(kind)) continue
            const [wrong] = [Exit.findError(ofHost)].flatMap((found) =>
              found._tag === "Success" ? [found.success] : []
            )
            assert.strictEqual(wrong?.code, "TRP0426", what)
            assert.notStrictEqual(wrong?.passes, true, "waiting mends no certificate")
            const text = String(Exit.isFailure(ofClient) ? ofClient.cause : "")
            assert.match(text, kind === "unknown" ? /certificate/ : /does not match certificate's altnames/, what)
          }
    }).pipe(Effect.scoped),
  60_000
)

it.live("a client that is told tls:// sends nothing in plain text to a server that offers no TLS", () =>
  Effect.gen(function* () {
    const servers = process.env["NATS_URL"]!
    // The server is there: without tls:// it is taken.
    yield* Effect.promise(async () => (await connect({ servers }))[Symbol.asyncDispose]())
    const demanded = servers.replaceAll("nats://", "tls://")
    const error = yield* Effect.flip(Effect.scoped(Layer.build(client({ servers: demanded, timeout: "300 millis" }))))
    assert.match(error.message, /does not support 'tls'/)
  })
)

/** A PostgreSQL on 127.0.0.1 whose certificate is changed while it runs. */
const postgresWith = (certified: Certified) =>
  Effect.gen(function* () {
    const server = yield* Postgres.start()
    const admin = yield* connected(server.url)
    let count = 0
    const change = (certified: Certified) =>
      Effect.gen(function* () {
        const name = `server${++count}`
        for (const [kind, text] of Object.entries({ crt: certified.cert, key: certified.key })) {
          const file = join(server.dataDir, `${name}.${kind}`)
          writeFileSync(file, text, { mode: 0o600 })
          const { gid, uid } = statSync(server.dataDir)
          chownSync(file, uid, gid)
        }
        yield* Effect.promise(async () => {
          await admin.unsafe(`alter system set ssl_cert_file = '${name}.crt'`)
          await admin.unsafe(`alter system set ssl_key_file = '${name}.key'`)
          await admin.unsafe("alter system set ssl = on")
          await admin`select pg_reload_conf()`
        })
        // New sessions have what the server has: it starts them.
        yield* until(
          () =>
            Effect.runPromise(
              Effect.scoped(
                Effect.flatMap(connected(server.url), (sql) =>
                  Effect.promise(async () => (await sql`show ssl_cert_file`)[0]?.["ssl_cert_file"] as string)
                )
              )
            ),
          (file) => file === `${name}.crt`
        )
      })
    yield* change(certified)
    return { server, change }
  })

it.live(
  "a PostgreSQL is verified as sslmode and sslrootcert say, against the name or the address in its url",
  () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const ours = yield* Effect.promise(() => authority("ours"))
      const certified = yield* certificates(ours, yield* Effect.promise(() => authority("unknown")))
      const root = join(dir, "root.crt")
      writeFileSync(root, ours.cert)
      const { change, server } = yield* postgresWith(certified.address)
      const plain = new URL(server.url)
      const reach = (host: string, query: string) => {
        plain.hostname = host
        const url = Redacted.make(`${plain.href}?${query}`)
        return Effect.scoped(
          Effect.gen(function* () {
            const sql = Context.get(yield* Layer.build(Sql.layer({ url, max: 1 })), Sql)
            const [row] = yield* Effect.promise(
              () => sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()` as Promise<Array<{ ssl: boolean }>>
            )
            return row?.ssl === true ? "encrypted" : "plain"
          })
        ).pipe(Effect.catch(({ code, passes }) => Effect.succeed(passes === true ? `${code}, later` : code)))
      }
      for (const kind of Object.keys(certified) as Array<Kind>) {
        if (kind !== "address") yield* change(certified[kind])
        for (const [host, believed] of Object.entries(fits)) {
          const full = believed.includes(kind) ? "encrypted" : "TRP0520"
          const chain = kind === "unknown" ? "TRP0520" : "encrypted"
          for (const [query, wanted] of [
            [`sslmode=verify-full&sslrootcert=${root}`, full],
            [`sslmode=verify-ca&sslrootcert=${root}`, chain],
            [`sslmode=require&sslrootcert=${root}`, chain],
            ["sslmode=verify-full", "TRP0520"],
            ["sslmode=require", "encrypted"],
            ["sslmode=prefer", "encrypted"],
            ["sslmode=disable", "plain"]
          ] as const)
            assert.strictEqual(yield* reach(host, query), wanted, `${query} of ${host} with a certificate for ${kind}`)
        }
      }
      for (const query of ["sslmode=verify", "sslmode=verify-ca", `sslmode=verify-full&sslrootcert=${dir}/none`])
        assert.strictEqual(yield* reach("127.0.0.1", query), "TRP0521", query)
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a host, its migrations and a client work over TLS alone, with servers that are named by their address",
  () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const ours = yield* known
      const root = join(dir, "root.crt")
      writeFileSync(root, ours.cert)
      const certified = yield* Effect.promise(() => ours.certify({ ip: "127.0.0.1" }))
      const [nats, { server }] = yield* Effect.all([natsWith(dir, "nats", certified), postgresWith(certified)], {
        concurrency: 2
      })
      const databaseUrl = `${server.url}?sslmode=verify-full&sslrootcert=${root}`
      yield* Migrations.run({ url: Redacted.make(databaseUrl) })
      const natsUrl = `tls://127.0.0.1:${nats.port}`
      const name = `tls-${process.pid}`
      yield* Effect.acquireRelease(
        Effect.sync(() => (process.env["NODE_EXTRA_CA_CERTS"] = root)),
        () => Effect.sync(() => delete process.env["NODE_EXTRA_CA_CERTS"])
      )
      const host = yield* startHost(new URL("./src/host.ts", import.meta.url).pathname, { name, natsUrl, databaseUrl })
      assert.match(host.url, /^http/, host.output())
      const { contract } = counters(name)
      const asking = Context.get(yield* Layer.build(client({ servers: natsUrl })), Client)
      assert.strictEqual(yield* asking.ask(contract.Counter.at("a").add({ n: 2 })), 2)
      const sql = yield* connected(server.url)
      const rows = yield* Effect.promise(
        () =>
          sql`select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'troupe%'`
      )
      assert.deepStrictEqual([...rows], [{ ssl: true }])
    }).pipe(Effect.scoped),
  120_000
)
