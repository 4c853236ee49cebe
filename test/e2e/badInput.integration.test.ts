import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { assert, it } from "@effect/vitest"
import { ask, type ClientError, send } from "@troupe/client"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { TooMuch } from "./src/counter.ts"
import * as World from "./src/world.ts"

/** Publishes as any client may: headers and body as given. */
const publish = (world: World.World, subject: string, wire: Record<string, string>, body: string | Uint8Array = "{}") =>
  Effect.promise(async () => {
    const all = headers()
    for (const [name, value] of Object.entries(wire)) all.set(name, value)
    await jetstream(world.nats).publish(subject, body, { headers: all })
  })

/** What a caller that writes its own envelope hears. */
const raw = (world: World.World, subject: string, wire: Record<string, string>, body?: string | Uint8Array) =>
  Effect.gen(function* () {
    const inbox = `_INBOX.test.${crypto.randomUUID()}`
    const subscription = world.nats.subscribe(inbox, { max: 1 })
    yield* publish(world, subject, { ...wire, "Troupe-Reply-To": inbox }, body)
    return yield* Effect.promise(async () => {
      for await (const message of subscription) {
        return { outcome: message.headers?.get("Troupe-Outcome"), ...message.json<{ code: string; detail: string }>() }
      }
      throw new Error("no reply")
    })
  })

const envelope = (world: World.World, command: string, more: Record<string, string> = {}) => ({
  "ce-id": crypto.randomUUID(),
  "ce-type": `${world.name}.Counter.${command}`,
  "ce-source": "test",
  ...more
})

const scenario = (world: World.World) =>
  Effect.gen(function* () {
    const { contract, name } = world
    const to = (command: string, key: string) => `cmd.${name}.Counter.${command}.${key}`
    const dead = () => Effect.runPromise(DeadLetters.list(world.sql))
    const rejects = (reason: string, code?: string) => (error: unknown) => {
      const { reason: found } = error as ClientError
      assert.strictEqual(found._tag, reason)
      if (found._tag === "Rejected") assert.strictEqual(found.code, code)
    }

    // Whoever waits is told, and then there is no dead letter.
    const schema = yield* raw(world, to("add", "k"), envelope(world, "add"), `{"n":"one"}`)
    assert.strictEqual(schema.outcome, "rejected")
    assert.strictEqual(schema.code, "TRP0201")
    assert.include(schema.detail, `["n"]`)
    assert.strictEqual(
      (yield* raw(world, to("add", "k"), envelope(world, "add"), new Uint8Array([0xff]))).code,
      "TRP0201"
    )
    assert.strictEqual((yield* raw(world, to("nope", "k"), envelope(world, "nope"))).code, "TRP0202")
    assert.strictEqual((yield* raw(world, to("add", "%41"), envelope(world, "add"))).code, "TRP0204")
    assert.strictEqual(
      (yield* raw(world, to("add", "k"), envelope(world, "add", { "ce-subject": "other" }))).code,
      "TRP0205"
    )
    assert.strictEqual((yield* raw(world, to("add", "k"), envelope(world, "flaky"))).code, "TRP0205")
    assert.deepStrictEqual(yield* Effect.promise(dead), [])

    // Nobody waits, or it cannot be told who: the message is kept whole.
    const bytes = new Uint8Array([0, 255, 1])
    yield* publish(world, to("add", "k"), {}, bytes)
    yield* publish(world, to("add", "k"), { ...envelope(world, "add"), "Nats-Subject": "evt.x" })
    yield* publish(
      world,
      to("add", "k"),
      { ...envelope(world, "add"), "Troupe-Reply-To": `evt.${name}.Counter.added.k` },
      "{}"
    )
    yield* publish(world, to("add", "K".repeat(201)), envelope(world, "add"))
    const letters = yield* World.until(dead, (letters) => letters.length >= 4)
    assert.sameMembers(
      letters.map(({ code }) => code),
      ["TRP0203", "TRP0203", "TRP0201", "TRP0204"]
    )
    const noEnvelope = letters.find(({ headers }) => Object.keys(headers).length === 0)!
    assert.deepStrictEqual([...noEnvelope.body], [...bytes], "byte for byte")
    assert.strictEqual(noEnvelope.subject.split(".").slice(3).join("."), "Counter.add.k")

    // Through the SDK: typed errors of the command, and ClientError for the rest.
    const counter = contract.Counter.at("k")
    assert.deepStrictEqual(yield* Effect.flip(ask(counter.add({ n: 2_000 }))), new TooMuch({ n: 2_000 }))
    yield* Effect.map(Effect.flip(ask(counter.add({ n: 1.5 }))), rejects("Rejected", "TRP0201"))
    yield* Effect.map(Effect.flip(ask(contract.Counter.at("").add({ n: 1 }))), rejects("BadKey"))
    yield* Effect.map(Effect.flip(ask(contract.Counter.at("é".repeat(40)).add({ n: 1 }))), rejects("BadKey"))
    yield* Effect.map(Effect.flip(ask(counter.spread({ to: ["x".repeat(2_000_000)] }))), rejects("TooLarge"))

    // A defect: three tries, then the whole message is a dead letter and the key goes on.
    assert.strictEqual(yield* ask(counter.flaky({ times: 3 })), 3, "two failures are retried in place")
    yield* Effect.map(Effect.flip(ask(counter.flaky({ times: 4 }))), rejects("Rejected", "TRP0301"))
    const failed = yield* World.until(dead, (letters) => letters.some(({ code }) => code === "TRP0301"))
    const letter = failed.find(({ code }) => code === "TRP0301")!
    assert.include(letter.reason, "try 3")
    assert.strictEqual(letter.key, "k")
    assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(letter.body)), { times: 4 })
    assert.strictEqual(letter.headers["ce-id"], letter.messageId)
    assert.strictEqual(yield* ask(counter.add({ n: 1 })), 1, "the key goes on")

    // What cannot be sent is not committed: it would stand in the relay's way for ever.
    yield* Effect.map(Effect.flip(ask(counter.shout({ length: 2_000_000 }))), rejects("Rejected", "TRP0303"))
    yield* Effect.map(Effect.flip(ask(counter.spread({ to: ["ok", ""] }))), rejects("Rejected", "TRP0303"))
    yield* Effect.map(Effect.flip(ask(counter.hang(), { timeout: "40 seconds" })), rejects("Rejected", "TRP0302"))
    assert.strictEqual(yield* ask(counter.add({ n: 1 })), 2, "still the same state")

    // The same id with another request.
    const id = crypto.randomUUID()
    assert.strictEqual(yield* ask(counter.add({ n: 1 }), { id }), 3)
    yield* Effect.map(Effect.flip(ask(counter.add({ n: 2 }), { id })), rejects("Rejected", "TRP0206"))
    assert.strictEqual(yield* ask(counter.add({ n: 1 }), { id }), 3, "the stored reply")

    // Time and chance are the message's.
    const dice = yield* ask(counter.dice(), { id: "my own id" })
    assert.deepStrictEqual(yield* ask(counter.dice(), { id: "my own id" }), dice)

    yield* send(counter.add({ n: 1 }))
    yield* World.settled(world)
    assert.strictEqual(yield* ask(counter.add({ n: 0 })), 4, "the service went on all the while")
  })

it.live(
  "bad input never crashes the service, never hangs a caller, never disappears",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start({ parking: { attempts: 1 } })
      yield* Effect.provide(scenario(world), world.client)
      const live = yield* Effect.promise(() => fetch(`${host.url}/livez`))
      assert.strictEqual(live.status, 200)
    }).pipe(Effect.scoped),
  90_000
)
