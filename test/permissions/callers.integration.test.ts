import { type AddressInfo, createServer } from "node:net"
import { assert, it } from "@effect/vitest"
import { Actor } from "@troupe/actor"
import { connect as overWebSocket } from "@troupe/client"
import { ClientError, connect, type ConnectOptions } from "@troupe/client/node"
import { Contract, Envelope } from "@troupe/contract"
import { Nats, Publisher, Topology } from "@troupe/nats"
import { Accounts as Compiled, Caller, nats, Policy } from "@troupe/permissions"
import { Service } from "@troupe/service"
import { until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Accounts from "./src/accounts.ts"
import * as Guarded from "./src/guarded.ts"

class Bell extends Contract.actor({
  key: Schema.String,
  commands: { ring: Contract.command({}), melt: Contract.command({}) },
  events: { rang: Contract.event({ times: Schema.Int }) }
}) {}
const Bells = Contract.make("bells", { Bell })
const bell = Actor.make(Bells.Bell, { state: Schema.Void, initial: undefined }).commands({
  ring: () => {},
  melt: () => {}
})
const policies = [
  Policy.ofService(Service.make(Bells, { actors: [bell] })),
  Policy.ofCaller(Caller.make("ear", { hears: [Bells] })),
  Policy.ofCaller(Caller.make("hand", { sends: [Bells.Bell.commands.ring] }))
]

interface World {
  readonly service: Effect.Effect<Parameters<typeof Nats.layer>[0]>
  readonly caller: (name: string) => Promise<ConnectOptions>
}
const oneAccount: Effect.Effect<World, unknown, Scope.Scope> = Effect.map(
  Guarded.serverOf(nats(policies)),
  ({ url }) => ({
    service: Effect.succeed({
      url: Redacted.make(url.replace("://", "://bells:secret-bells@")),
      inboxPrefix: "_INBOX.bells"
    }),
    caller: async (name) => ({ servers: url, user: name, pass: `secret-${name}`, inboxPrefix: `_INBOX.${name}` })
  })
)
const manyAccounts: Effect.Effect<World, unknown, Scope.Scope> = Effect.map(
  Effect.suspend(() => Accounts.of(Compiled.make(policies))),
  (world) => ({
    service: Effect.promise(async () => ({
      url: Redacted.make(world.server.url),
      creds: Accounts.write(world, "bells.creds", await world.creds("bells")),
      inboxPrefix: "_INBOX.bells"
    })),
    // Where answers arrive follows from the credentials.
    caller: async (name) => ({ servers: world.server.url, creds: await world.creds(name) })
  })
)

/** Says the event once more, with an id of its own. */
const rung = Effect.suspend(() => {
  const id = crypto.randomUUID()
  const envelope = { id, type: "bells.Bell.rang", source: "bells", key: "k", contract: 1 }
  return Publisher.single({
    subject: "evt.bells.Bell.rang.k",
    id,
    headers: Envelope.toHeaders(envelope),
    body: `{"times":3}`
  })
})

for (const [mode, make] of [
  ["in one account", oneAccount],
  ["each in an account", manyAccounts]
] as const) {
  it.live(
    `callers hear the events of the services that they declare, send the commands that they declare, and nothing else: ${mode}`,
    () =>
      Effect.gen(function* () {
        const world = yield* make
        const running = Nats.layer(yield* world.service)
        yield* Effect.gen(function* () {
          for (const kind of ["cmd", "evt"] as const)
            yield* Topology.ensure(kind, "bells", { ...Topology.limits, maxBytes: 1024 ** 2 })
          yield* Topology.ensurePlaces("bells", 1)
          const again = Effect.forever(Effect.andThen(rung, Effect.sleep("50 millis")))
          const heard = Effect.promise(async () => {
            await using ear = await connect(await world.caller("ear"))
            for await (const event of ear.subscribe(Bells.Bell.events.rang)) return event
          })
          const event = yield* Effect.raceFirst(heard, again)
          assert.deepInclude(event, { type: "bells.Bell.rang", key: "k", payload: { times: 3 } })
          // By a durable name, twice: its place is kept in the account of the service.
          const after = Effect.promise(async () => {
            const places: Array<string | undefined> = []
            for (const _ of ["begin", "go on"]) {
              await using ear = await connect({ ...(await world.caller("ear")), name: "ear" })
              let one = 0
              for await (const { place } of ear.subscribe(Bells.Bell.events.rang, { durable: "log", from: "start" })) {
                places.push(place)
                if (++one === 2) break
              }
            }
            return places
          })
          const places = yield* Effect.raceFirst(after, again)
          // The second of the first time was not handled: it comes again, and no other.
          assert.deepStrictEqual([places.length, new Set(places).size, places[2]], [4, 3, places[1]])
        }).pipe(Effect.provide(running))

        yield* Effect.promise(async () => {
          await using ear = await connect(await world.caller("ear"))
          await using hand = await connect(await world.caller("hand"))
          await hand.send(Bells.Bell.at("k").ring())
          const refused = async (act: Promise<unknown>, why: RegExp) => {
            const error = await act.catch((error: unknown) => error)
            assert.instanceOf(error, ClientError)
            assert.match(error.message, why)
          }
          const ringing = /^TRP0211 .*add sends: \[Bells\.Bell\.commands\.ring\] to its Caller/
          await refused(ear.send(Bells.Bell.at("k").ring()), ringing)
          await refused(hand.send(Bells.Bell.at("k").melt()), /^TRP0211 .*add sends: \[Bells\.Bell\.commands\.melt\]/)
          const hearing = hand.subscribe(Bells.Bell.events.rang)[Symbol.asyncIterator]().next()
          await refused(hearing, /^TRP0211 .*add hears: \[Bells\] to its Caller/)
        })
      }).pipe(Effect.scoped)
  )
}

it.live(
  "a caller over WebSocket goes on with credentials that were renewed, and hears precisely that they were not",
  () =>
    Effect.gen(function* () {
      const listener = yield* Effect.promise(freePort)
      const world = yield* Accounts.of(
        Compiled.make(policies),
        `websocket { listen: "127.0.0.1:${listener}", no_tls: true }`
      )
      const creds = Accounts.write(world, "bells.creds", yield* Effect.promise(() => world.creds("bells")))
      const made = Topology.ensure("cmd", "bells", { ...Topology.limits, maxBytes: 1024 ** 2 })
      yield* Effect.provide(
        made,
        Nats.layer({ url: Redacted.make(world.server.url), creds, inboxPrefix: "_INBOX.bells" })
      )
      yield* Effect.promise(async () => {
        const lasts = (ms: number) => world.creds("hand", { expires: Date.now() + ms })
        let current = await lasts(3_000)
        let asked = 0
        const creds = () => {
          asked++
          return current
        }
        await using hand = await overWebSocket({ servers: `ws://127.0.0.1:${listener}`, creds })
        const send = () => hand.send(Bells.Bell.at("k").ring(), { timeout: "20 seconds" })
        // Whoever connects anew was ended before.
        const ended = (before: number) =>
          Effect.runPromise(
            until(
              async () => asked,
              (now) => now > before
            )
          )
        await send()
        current = await lasts(10_000)
        await ended(asked)
        await send()
        await ended(asked)
        const told = async () =>
          String(await hand.send(Bells.Bell.at("k").ring(), { timeout: "2 seconds" }).catch((error: unknown) => error))
        // Until the server has refused them once, the connection is only lost.
        assert.match(await Effect.runPromise(until(told, (error) => !error.includes("TRP0401"))), /TRP0412 /)
        current = await world.creds("hand")
        await send()
      })
    }).pipe(Effect.scoped)
)

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
