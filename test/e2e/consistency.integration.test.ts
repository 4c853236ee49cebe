import { assert, it } from "@effect/vitest"
import { after, askWithToken, type Client, type ClientError } from "@troupe/client"
import { headers as natsHeaders } from "@nats-io/nats-core"
import { connect } from "@troupe/client/node"
import { Consistency, type Message } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

/** So that a host that dies is replaced soon. */
const hasty = { heartbeat: "100 millis", lease: "1 second" } as const

/** The subscriber `log` writes a row of each `added`, through Drizzle. */
const logOf = (world: World.World) => `${world.name}.log` as const

/** What the projection shows of a key. */
const shown = (world: World.World, key: string) =>
  Effect.promise(async () => {
    const [row] = await world.sql`select coalesce(max(total), 0) as total from app.log where key = ${key}`
    return row!["total"] as number
  })

const add = (world: World.World, key: string, id?: string) =>
  askWithToken(world.contract.Counter.at(key).add({ n: 1 }), {
    timeout: "30 seconds",
    ...(id === undefined ? {} : { id })
  })

const reasonOf = (waiting: Effect.Effect<void, ClientError, Client>) =>
  Effect.map(Effect.flip(waiting), ({ message, reason }) => ({ ...reason, message }))

const rejected = (waiting: Effect.Effect<void, ClientError, Client>, code: string) =>
  Effect.map(reasonOf(waiting), (reason) => {
    assert.strictEqual(reason._tag === "Rejected" && reason.code, code, reason.message)
  })

it.live(
  "after a token the projection shows the write, 200 times, while hosts are killed and partitions move",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const hosts = yield* Effect.all([world.start(hasty), world.start(hasty), world.start(hasty)], { concurrency: 3 })
      let writes = 0
      let stale = 0
      const write = (caller: number) =>
        Effect.gen(function* () {
          for (let i = 0; i < 50; i++) {
            const key = `key ${caller} ${i % 10} é`
            const { reply, token } = yield* add(world, key)
            if ((yield* shown(world, key)) < reply) stale++
            yield* after(token, logOf(world), { timeout: "30 seconds" })
            assert.isAtLeast(yield* shown(world, key), reply, `${token}: the write is not there`)
            writes++
          }
        })
      const writing = yield* Effect.forkScoped(
        Effect.provide(Effect.all([0, 1, 2, 3].map(write), { concurrency: 4 }), world.client)
      )
      for (const [i, signal] of (["SIGKILL", "SIGTERM", "SIGKILL"] as const).entries()) {
        const enough = World.until(
          async () => writes,
          (done) => done >= 40 * (i + 1)
        )
        // A failure of who writes is to be seen, not the wait for it.
        yield* Effect.raceFirst(enough, Effect.andThen(Fiber.join(writing), Effect.never))
        const victim = hosts.shift()!
        victim.kill(signal)
        const { code, signal: by } = yield* victim.ended
        assert.strictEqual(signal === "SIGKILL" ? by : code, signal === "SIGKILL" ? "SIGKILL" : 0, "the fault fired")
        hosts.push(yield* world.start(hasty))
      }
      yield* Fiber.join(writing)
      assert.strictEqual(writes, 200)
      assert.isAbove(stale, 0, "who does not wait sees less than was written: the test could fail")
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "an ask that is answered again has the same token, also when the turn wrote by Db, and one without events needs no wait",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start(hasty)
      const twice = <Reply, Error>(
        message: Message<string, Reply, Error>,
        meanwhile: Effect.Effect<unknown, unknown, Client>
      ) =>
        Effect.gen(function* () {
          const id = crypto.randomUUID()
          const first = yield* askWithToken(message, { id })
          yield* meanwhile
          const again = yield* askWithToken(message, { id })
          assert.deepStrictEqual(again, first)
          return first.token
        })
      yield* Effect.gen(function* () {
        const counter = world.contract.Counter.at("k.1")
        const token = yield* twice(counter.add({ n: 1 }), Effect.repeat(add(world, "k.1"), { times: 3 }))
        const [lane] = yield* Effect.promise(() => world.sql`select headers from troupe.outbox order by pos limit 1`)
        const { partition, position } = Consistency.parse(token)!
        assert.strictEqual(token, `${world.name}.Counter.${partition}.${position}.k%2E1`)
        assert.strictEqual(JSON.parse(lane!["headers"])["Troupe-Lane-Position"], String(position))

        const silent = yield* twice(counter.record({ n: 1, then: "reply" }), Effect.void)
        assert.strictEqual(Consistency.parse(silent)!.position, 0)
        const written = yield* twice(counter.record({ n: 1, then: "say" }), Effect.void)
        assert.isAbove(Consistency.parse(written)!.position, position)
        yield* after(written, logOf(world))
        // Of commands and events only the last event counts.
        const sending = yield* askWithToken(counter.spread({ to: ["k.1", "k.1"] }))
        assert.strictEqual(Consistency.parse(sending.token)!.position, 0)
        yield* after(token, logOf(world))
        yield* world.start(hasty)
        host.kill("SIGKILL")
        assert.strictEqual((yield* host.ended).signal, "SIGKILL", "the fault fired")
        // Done without anybody to ask.
        yield* after(silent, "no-such.subscriber")
        // And what was committed before is known to the next owner, though nothing new comes.
        yield* after(token, logOf(world), { timeout: "30 seconds" })

        // A host of older code keeps no position: what was answered by it says so, and nobody waits in vain.
        const id = crypto.randomUUID()
        yield* add(world, "old", id)
        yield* Effect.promise(() => world.sql`update troupe.inbox set pos = null where id = ${id}`)
        const old = yield* add(world, "old", id)
        assert.strictEqual(old.token, "")
        yield* rejected(after(old.token, logOf(world)), "TRP0214")
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "an ask that was parked has the token of the turn that it got in the end",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const parking = { first: 100, longest: 100, attempts: 1_000 }
      const host = yield* world.start({ ...hasty, parking })
      yield* Effect.gen(function* () {
        yield* add(world, "k")
        host.kill("SIGKILL")
        yield* host.ended
        const spoil = (body: string) =>
          Effect.promise(
            () => world.sql`update troupe.state s set body = ${body} from troupe.consumer c
              where c.id = s.consumer and c.name = ${`${world.name}.Counter`}`
          )
        yield* spoil('"no number"')
        yield* world.start({ ...hasty, parking })
        const id = crypto.randomUUID()
        const asking = yield* Effect.forkChild(add(world, "k", id), { startImmediately: true })
        yield* World.until(
          () => world.sql`select code from troupe.parked`,
          (rows) => rows.some(({ code }) => code === "TRP0304")
        )
        yield* spoil("1")
        const { reply, token } = yield* Fiber.join(asking)
        assert.strictEqual(reply, 2)
        yield* after(token, logOf(world))
        assert.strictEqual(yield* shown(world, "k"), 2)
        assert.deepStrictEqual(yield* add(world, "k", id), { reply, token })
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "who waits for a parked key is not told that it was handled, others are, and it is once it is",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* world.start({ ...hasty, parking: { first: 100, longest: 100, attempts: 1_000 } })
      yield* Effect.promise(() => world.sql`alter table app.log add constraint stuck check (key <> 'stuck')`)
      yield* Effect.gen(function* () {
        const stuck = yield* add(world, "stuck")
        const { partition } = Consistency.parse(stuck.token)!
        yield* World.until(
          () => world.sql`select from troupe.parked`,
          (rows) => rows.length === 1
        )
        // Another key of the same lane is past it.
        const other = Array.from({ length: 500 }, (_, i) => `other ${i}`)
        for (const key of other) {
          const { token } = yield* add(world, key)
          if (Consistency.parse(token)!.partition !== partition) continue
          yield* after(token, logOf(world))
          assert.isAbove(Consistency.parse(token)!.position, Consistency.parse(stuck.token)!.position)
          break
        }
        const late = yield* reasonOf(after(stuck.token, logOf(world), { timeout: "300 millis" }))
        assert.strictEqual(late._tag, "TimedOut", late.message)
        assert.strictEqual(yield* shown(world, "stuck"), 0)
        const waiting = yield* Effect.forkChild(after(stuck.token, logOf(world), { timeout: "30 seconds" }), {
          startImmediately: true
        })
        yield* Effect.promise(() => world.sql`alter table app.log drop constraint stuck`)
        yield* Fiber.join(waiting)
        assert.strictEqual(yield* shown(world, "stuck"), 1)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "who waits for what cannot come is told why: no token, another actor's, no such subscriber, no host, too little time",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start(hasty)
      yield* Effect.gen(function* () {
        const { token } = yield* add(world, "k")
        yield* after(token, logOf(world))
        const place = Consistency.parse(token)!
        const log = logOf(world)
        yield* rejected(after("no token", log), "TRP0214")
        yield* rejected(after(token, "log" as `${string}.${string}`), "TRP0215")
        yield* rejected(after(Consistency.text({ ...place, actor: "Other" }), log), "TRP0215")
        yield* rejected(after(Consistency.text({ ...place, service: "other" }), log), "TRP0215")
        const unknown = yield* reasonOf(after(token, `${world.name}.unknown`, { timeout: "2 seconds" }))
        assert.match(unknown.message, /^TRP0401 .*\.unknown · no host runs .*is there such a subscriber/)
        const future = { ...place, position: place.position + 1 }
        const early = yield* reasonOf(after(Consistency.text(future), log, { timeout: "200 millis" }))
        assert.match(early.message, /^TRP0218 .*\.log · after 200ms/)

        // The faces for code without Effect.
        const plain = yield* Effect.acquireRelease(
          Effect.promise(() => connect({ servers: world.natsUrl })),
          (plain) => Effect.promise(() => plain[Symbol.asyncDispose]())
        )
        const told = yield* Effect.promise(() => plain.askWithToken(world.contract.Counter.at("k").add({ n: 1 })))
        assert.strictEqual(told.reply, 2)
        yield* Effect.promise(() => plain.after(told.token, log))
        assert.strictEqual(yield* shown(world, "k"), 2)

        host.kill("SIGKILL")
        assert.strictEqual((yield* host.ended).signal, "SIGKILL", "the fault fired")
        // The server may not have seen the end of its connection yet when it is asked first.
        const alone = yield* reasonOf(after(token, log, { timeout: "4 seconds" }))
        assert.strictEqual(alone._tag, "NotConnected", alone.message)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "who waits goes on with the next owner, when one is killed, and when one gives the partition back",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      let host = yield* world.start(hasty)
      yield* Effect.gen(function* () {
        const { token } = yield* add(world, "k")
        yield* after(token, logOf(world))
        const place = Consistency.parse(token)!
        for (const [i, signal] of (["SIGKILL", "SIGTERM"] as const).entries()) {
          const next = Consistency.text({ ...place, position: place.position + i + 1 })
          const asked = `svc.${world.name}.caught.log.${place.partition}`
          const heard: Array<string> = []
          const inbox = `_INBOX.raw.${i}`
          world.nats.subscribe(inbox, { callback: (_, msg) => void heard.push(msg.string()) })
          const waiting = yield* Effect.forkChild(after(next, logOf(world), { timeout: "30 seconds" }), {
            startImmediately: true
          })
          world.nats.publish(asked, next, { reply: inbox })
          // No inbox of ours: nobody is answered there.
          world.nats.subscribe("elsewhere", { callback: () => void heard.push("elsewhere") })
          world.nats.publish(asked, token, { reply: "elsewhere" })
          const headers = natsHeaders()
          headers.set("Troupe-Reply-To", "elsewhere")
          world.nats.publish(asked, token, { headers, reply: inbox })
          const known = yield* Effect.promise(() => world.nats.request(asked, token))
          assert.strictEqual(known.string(), "done", "the owner has heard all of them")
          host.kill(signal)
          yield* host.ended
          yield* Effect.promise(() => world.nats.flush())
          assert.deepStrictEqual(heard, signal === "SIGTERM" ? ["again"] : [])
          assert.isUndefined(waiting.pollUnsafe())
          host = yield* world.start(hasty)
          const { token: said } = yield* add(world, "k")
          assert.strictEqual(said, next)
          yield* Fiber.join(waiting)
          assert.strictEqual(yield* shown(world, "k"), i + 2)
        }
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "who waits for an event of a large batch does not wait for the rest of it",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const { sql } = world
      // Rows wait for whoever holds the lock of their number.
      yield* Effect.promise(() =>
        sql.unsafe(`create function app.hold() returns trigger language plpgsql as $$
            begin perform pg_advisory_xact_lock_shared(new.nth); return new; end $$;
          create trigger hold before insert on app.log for each row execute function app.hold()`)
      )
      const holder = yield* Effect.acquireRelease(
        Effect.promise(() => sql.reserve()),
        (holder) => Effect.sync(() => holder.release())
      )
      const [first, last] = [1, 300]
      yield* Effect.promise(() => holder`select pg_advisory_lock(${first}), pg_advisory_lock(${last})`)
      const held = (nth: number) =>
        World.until(
          () => sql`select from pg_locks where locktype = 'advisory' and objid = ${nth} and not granted`,
          (rows) => rows.length === 1
        )
      yield* world.start(hasty)
      yield* Effect.gen(function* () {
        const said = yield* Effect.forEach(Array.from({ length: last }), () => add(world, "k"), { concurrency: 50 })
        yield* held(first)
        yield* World.until(
          () => world.jsm.streams.info(`EVT_${world.name}`),
          ({ state }) => state.messages >= last
        )
        yield* Effect.promise(() => holder`select pg_advisory_unlock(${first})`)
        yield* held(last)
        const { token } = said.find(({ reply }) => reply === 100)!
        yield* after(token, logOf(world), { timeout: "3 seconds" })
        assert.isAtLeast(yield* shown(world, "k"), 100)
        assert.isBelow(yield* shown(world, "k"), last, "the rest is not there yet")
        yield* Effect.promise(() => holder`select pg_advisory_unlock(${last})`)
        yield* after(said.find(({ reply }) => reply === last)!.token, logOf(world), { timeout: "30 seconds" })
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)
