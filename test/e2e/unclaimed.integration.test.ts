import { jetstream } from "@nats-io/jetstream"
import { headers as natsHeaders } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Contract } from "@troupe/contract"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as World from "./src/world.ts"

class Ghost extends Contract.actor({
  key: Schema.String,
  commands: { haunt: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int }) }
}) {}

/** Sends a command to an actor that the service does not have; answers its sequence. */
const send = (world: World.World, key: string, contract?: number) =>
  Effect.promise(async () => {
    const headers = natsHeaders()
    const type = `${world.name}.Ghost.haunt`
    headers.set("ce-id", crypto.randomUUID())
    headers.set("ce-type", type)
    headers.set("ce-source", "test")
    if (contract !== undefined) headers.set("Troupe-Contract", String(contract))
    return (await jetstream(world.nats).publish(`cmd.${type}.${key}`, `{"n":1}`, { headers })).seq
  })

const dead = (world: World.World) => () =>
  world.sql`select d.code, d.sequence, d.subject, convert_from(d.body, 'utf8') as body, d.reason
    from troupe.dead d join troupe.consumer c on c.id = d.consumer where c.name = ${`${world.name}.unclaimed`} order by d.sequence`

it.live(
  "a refused command is deleted from the stream also when its owner dies before it does so",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const has = async (seq: number) => (await world.jsm.streams.getMessage(`CMD_${world.name}`, { seq })) !== null
      /** Answers the command's sequence once an owner died before it deleted it: that takes up to 5 s. */
      const left = Effect.gen(function* () {
        const host = yield* world.start()
        const sent = yield* send(world, "a")
        yield* World.until(dead(world), (rows) => rows.some(({ sequence }) => Number(sequence) === sent))
        host.kill("SIGKILL")
        yield* host.ended
        return (yield* Effect.promise(() => has(sent))) ? sent : undefined
      }).pipe(Effect.repeat({ until: (sent) => sent !== undefined, times: 4 }))
      const sent = (yield* left)!
      assert.isDefined(sent, "the fault fired")
      yield* world.start()
      yield* World.until(
        () => has(sent),
        (there) => !there
      )
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a command for an actor that the service does not have is a dead letter with its code, an ask is told so, and one of a newer contract waits for the actor",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const early = yield* send(world, "early").pipe(Effect.exit)
      assert.strictEqual(early._tag, "Failure", "there is no stream yet")
      const host = yield* world.start()
      const add = (n: number) => ask(world.contract.Counter.at("k").add({ n }))
      yield* Effect.provide(add(1), world.client)
      const sent = [yield* send(world, "a"), yield* send(world, "b")]
      yield* Effect.provide(add(1), world.client)
      const newer = yield* send(world, "c", 1_000)

      const letters = yield* World.until(dead(world), (rows) => rows.length >= 2)
      assert.deepStrictEqual(
        letters.map((row) => [row["code"], Number(row["sequence"]), row["body"]]),
        sent.map((seq) => ["TRP0418", seq, `{"n":1}`])
      )
      assert.include(letters[0]!["reason"], "has no actor Ghost")

      const { Ghost: ghosts } = Contract.make(world.name, { Ghost })
      const refused = yield* Effect.flip(Effect.provide(ask(ghosts.at("a").haunt({ n: 1 })), world.client))
      assert.include(JSON.stringify(refused), "TRP0418")

      // What was refused is deleted; what waits for newer code, and what is handled, stays.
      const has = async (seq: number) => (await world.jsm.streams.getMessage(`CMD_${world.name}`, { seq })) !== null
      yield* World.until(
        async () => Promise.all(sent.map(has)),
        (there) => there.every((is) => !is)
      )
      assert.isTrue(yield* Effect.promise(() => has(newer)))
      const health = yield* Effect.promise(async () => (await fetch(`${host.url}/readyz`)).text())
      assert.include(health, "wait in CMD_")

      // The next owner goes on where this one was.
      host.kill("SIGKILL")
      yield* host.ended
      const next = yield* world.start()
      const last = yield* send(world, "d")
      const after = yield* World.until(dead(world), (rows) => rows.length >= 3)
      assert.deepStrictEqual(
        after.map((row) => Number(row["sequence"])),
        [...sent, last]
      )
      assert.strictEqual(yield* Effect.provide(add(1), world.client), 3)

      // Redriven, it goes to whoever is its actor now: here to nobody again.
      const newest = Effect.map(DeadLetters.list(world.sql, { limit: 1 }), (letters) => letters[0]!)
      const { id, messageId } = yield* newest
      const redriven = yield* DeadLetters.redrive(world.sql, id, { by: "test" })
      const again = yield* World.until(dead(world), (rows) => rows.some(({ sequence }) => Number(sequence) > last))
      assert.lengthOf(again, 3)
      const { body, ...letter } = yield* newest
      assert.deepInclude(letter, { key: "d", code: "TRP0418", origin: messageId, messageId: redriven.messageId })
      assert.strictEqual(body.toString(), `{"n":1}`)
      const live = yield* Effect.promise(() => fetch(`${next.url}/livez`))
      assert.strictEqual(live.status, 200)
    }).pipe(Effect.scoped),
  60_000
)
