import { readFileSync } from "node:fs"
import { headers } from "@nats-io/nats-core"
import { assert, it } from "@effect/vitest"
import { OrderId, Orders } from "@shop/orders"
import { after, ask, askWithToken } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { Envelope } from "@troupe/contract"
import type { NatsServer } from "@troupe/embedded"
import { connected, until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Guarded from "./src/guarded.ts"
import * as Shop from "./src/shop.ts"

/** What PostgreSQL lets every role do, whatever it was granted: docs/permissions.md names it. */
const anybody: ReadonlyArray<string> = [
  "select lo_unlink(lo_create(0))",
  "alter role orders set work_mem = '4MB'",
  "alter role orders reset work_mem",
  "alter role orders password 'secret'",
  "select pg_notify('any', '')",
  "select pg_advisory_xact_lock(1)"
]

/** The service's database with the committed role, which may log in with its name and is dropped at the end. */
const guarded = (service: string) =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(Effect.void, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* connected(Shop.admin)
          yield* Effect.promise(() => server.unsafe(`drop role if exists "${service}"`))
        })
      )
    )
    const { owner, url } = yield* Shop.database(service)
    yield* Effect.promise(() => owner.unsafe(Guarded.committed(`${service}.sql`)))
    // Twice: it may be run after every migration.
    yield* Effect.promise(() => owner.unsafe(Guarded.committed(`${service}.sql`)))
    yield* Effect.promise(() => owner.unsafe(`alter role "${service}" password 'secret'`))
    return { owner, url: Object.assign(new URL(url), { username: service, password: "secret" }).href }
  })

/** What the role of a service must not do: SQL and why. */
const denied: ReadonlyArray<string> = [
  "create table troupe.mine (id int)",
  "create table app.mine (id int)",
  "create table public.mine (id int)",
  "create temporary table mine (id int)",
  "create schema mine",
  "create role mine",
  "alter table troupe.state add column mine int",
  "drop table app.journal",
  "truncate troupe.state",
  "truncate app.journal",
  "delete from troupe.state",
  "delete from troupe.outbox",
  "update troupe.outbox set pos = 0",
  "delete from troupe.inbox",
  "delete from troupe.outbox_0",
  "insert into troupe.outbox_0 select * from troupe.outbox_0",
  "delete from troupe.partition",
  "update troupe.mark set n = 0",
  "update troupe.consumer set partitions = 1",
  "insert into troupe.migration (schema, number, name, sha256) values ('app', 9, '', '')",
  "update troupe.dead set code = ''",
  "insert into troupe.wish (consumer, p, kind, dead, by) values (1, 0, 'discard', 1, '')",
  "create or replace function troupe.host_lock(_host uuid) returns bigint language sql immutable return 0",
  "set role postgres",
  "copy troupe.host to program 'true'",
  "reindex table troupe.state",
  "alter role orders createdb",
  "create publication mine",
  "select pg_create_logical_replication_slot('mine', 'pgoutput')",
  "select pg_read_file('postgresql.conf')",
  "comment on table troupe.state is ''"
]

/** A caller cannot aim the reply to its command at the inbox of a program that may not ask the service. */
const aimedElsewhere = Effect.fnUntraced(function* (nats: NatsServer.NatsServer) {
  const customers = yield* Guarded.login(nats, "customers")
  const operator = yield* Guarded.login(nats, "OPERATOR")
  const heard: Array<string> = []
  operator.subscribe("_INBOX.*.aimed.*", { callback: (_, { subject }) => void heard.push(subject) })
  yield* Effect.promise(() => operator.flush())
  for (const user of ["payments", "orders", "nobody", "customers"]) {
    const said = headers()
    const id = crypto.randomUUID()
    const replyTo = `_INBOX.${user}.aimed.1`
    const envelope = { id, type: "orders.Order.place", source: "eve", key: "o-1", contract: 1, replyTo }
    for (const [name, value] of Object.entries(Envelope.toHeaders(envelope))) said.set(name, value)
    customers.publish("cmd.orders.Order.place.o-1", "{}", { headers: said })
  }
  // Messages of one key are answered in order: the last one's answer comes after those that were refused.
  yield* until(
    async () => heard,
    (heard) => heard.length > 0
  )
  assert.deepStrictEqual(heard, ["_INBOX.customers.aimed.1"])
  yield* until(
    async () => readFileSync(nats.log, "utf8").match(/Publish Violation.*?_INBOX\.\w+\.aimed\.1/g) ?? [],
    (refused) => refused.length === 3
  )
})

it.live(
  "the shop runs under the committed users and roles, nothing of it is refused, and its roles can do no more",
  () =>
    Effect.gen(function* () {
      const nats = yield* Guarded.server
      const databases = yield* Effect.forEach(Shop.services, guarded)
      const hosts = yield* Effect.forEach(
        Shop.services,
        (service, i) =>
          Shop.host(service, {
            NATS_URL: Guarded.urlOf(nats, service),
            DATABASE_URL: databases[i]?.url ?? "",
            TROUPE_HTTP_PORT: "0"
          }),
        { concurrency: 3 }
      )
      const [orders] = databases
      if (orders === undefined) return assert.fail("no database")
      const id = OrderId.make("o-1")
      const lines = [{ sku: "tea", quantity: 2, cents: 450 }] as const
      const as = (user: Guarded.User) =>
        Effect.provide(
          client({
            servers: `127.0.0.1:${nats.port}`,
            user,
            pass: `secret-${user}`,
            inboxPrefix: `_INBOX.${user}`
          })
        )
      const { reply, token } = yield* askWithToken(Orders.Order.at(id).place({ customer: "ada", lines }), {
        timeout: "20 seconds"
      }).pipe(as("customers"))
      assert.strictEqual(reply.cents, 900)
      // The hosts may hear who waits for their subscribers.
      yield* after(token, "orders.overview", { timeout: "20 seconds" }).pipe(as("OPERATOR"))
      // Commands went to payments and shipping, and events of all three were read.
      const steps = yield* until(
        () => orders.owner.unsafe("select step from app.journal order by step"),
        (rows) => rows.length === 3
      )
      assert.deepStrictEqual(
        steps.map((row) => row["step"]),
        ["orders.Order.placed", "payments.Payment.authorized", "shipping.Shipment.dispatched"]
      )
      const log = readFileSync(nats.log, "utf8")
      assert.notMatch(log, /violation/i)
      for (const said of hosts) assert.notMatch(said(), /permission|denied|violation/i)
      // But not everybody may ask: it is told so at once.
      const { reason } = yield* Effect.flip(after(token, "orders.overview").pipe(as("customers")))
      assert.strictEqual(reason._tag, "NotAllowed")

      yield* aimedElsewhere(nats)
      // What no mode of NATS prevents: who may send a command chooses its id, and the first one under an id settles it.
      const under = { id: crypto.randomUUID(), timeout: "20 seconds" } as const
      const placed = (customer: string) => ask(Orders.Order.at(OrderId.make("o-3")).place({ customer, lines }), under)
      yield* placed("eve").pipe(as("customers"))
      const settled = yield* Effect.flip(placed("ada").pipe(as("OPERATOR")))
      assert.include(String(settled), "TRP0206")

      const ungranted = yield* Effect.promise(() =>
        orders.owner.unsafe(
          `select tablename from pg_tables where schemaname in ('troupe', 'app')
           and not has_table_privilege('orders', format('%I.%I', schemaname, tablename), 'select, insert, update, delete')`
        )
      )
      assert.deepStrictEqual([...ungranted], [], "a table of the migrations that the role has no privilege on")

      const role = yield* connected(orders.url)
      for (const statement of denied) {
        const said = yield* Effect.promise(() =>
          role.unsafe(statement).then(
            () => "nothing",
            ({ code }) => String(code)
          )
        )
        assert.strictEqual(said, "42501", statement)
      }
      for (const statement of anybody) yield* Effect.promise(() => role.unsafe(statement))
      const other = Object.assign(new URL(orders.url), { pathname: `/${Shop.run}_payments` }).href
      const foreign = yield* connected(other)
      const said = yield* Effect.promise(() =>
        foreign`select 1`.then(
          () => "nothing",
          ({ code }) => String(code)
        )
      )
      assert.strictEqual(said, "42501", "the database of another service")
      // What the pruner does once an hour, and what ends a frozen host.
      yield* Effect.promise(() =>
        role.begin(async (tx) => {
          await tx.unsafe("lock table troupe.outbox_11 in access exclusive mode; truncate troupe.outbox_11")
        })
      )
      yield* Effect.promise(async () => {
        await role.unsafe("truncate troupe.inbox_0")
        await role.unsafe("delete from troupe.wish")
        await role.unsafe("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nobody'")
        await role.unsafe("select setval('troupe.enqueued_hint', 1, false) from troupe.enqueued_hint where is_called")
        await role.unsafe(
          "insert into troupe.enqueued (hash, key, message_id, stream, subject, headers, body) select 1, '', gen_random_uuid(), '', '', '', '' where false"
        )
      })
    }).pipe(Effect.scoped),
  60_000
)
