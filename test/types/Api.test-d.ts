// What the types promise, checked by `tsc`. Every line after `@ts-expect-error` must not compile.
// @effect-diagnostics floatingEffect:off missingEffectError:off missingEffectContext:off
import { Actor, State, Subscriber } from "@troupe/actor"
import { Edge } from "@troupe/actor/edge"
import type { Connection } from "@troupe/client"
import {
  after,
  ask,
  askWithToken,
  type Client,
  type ClientError,
  type Placed,
  send,
  subscribe,
  type WithToken
} from "@troupe/client"
import { Contract, type Event, type Message } from "@troupe/contract"
import { Outbox } from "@troupe/outbox"
import { Db, type Transaction } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { check, given } from "@troupe/testing"
import * as Effect from "effect/Effect"
import { HttpClient } from "effect/http"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { AlreadyBooked, Declined, type Full, type Stop, type Ticket, TripId, Trips, Wallets } from "./contracts.ts"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T
const id = TripId.make("t-1")
declare const stops: readonly [Stop]
declare const trips: Connection
declare const database: Layer.Layer<Db>
const me = Trips.Trip.at(id)
const pure = { state: Schema.Int, initial: 0 } as const
const rest = { cancel: () => {}, status: () => "free" as const }

// -- messages ---------------------------------------------------------------------------------------------------------
// A message knows its address, its reply and its errors; without `reply` and `errors` they are void and never.
is<Equal<ReturnType<typeof me.book>, Message<"trips.Trip.book", Ticket, Full | AlreadyBooked>>>()
is<Equal<ReturnType<typeof me.cancel>, Message<"trips.Trip.cancel", void, never>>>()
is<Equal<Parameters<typeof me.status>, []>>()
// Keys are branded.
// @ts-expect-error a plain string is no TripId
Trips.Trip.at("t-1")
// @ts-expect-error no such command
me.bok({ stops })
// @ts-expect-error no such actor
void Trips.Tripp
// @ts-expect-error at least one stop
me.book({ stops: [] })
// @ts-expect-error misspelt
me.cancel({ reasn: "" })
// @ts-expect-error exactOptionalPropertyTypes: leave it out instead
me.book({ stops, note: undefined })
// A plain object is fine where the schema is a class.
me.book({ stops: [{ city: "Ulm", km: 1 }] })
// @ts-expect-error an event has no such payload
Trips.Trip.events.booked.from(id, { cents: 1 })
// @ts-expect-error misspelt
Contract.command({ payload: {}, error: [Declined] })
// @ts-expect-error an error needs a tag
Contract.command({ errors: [Schema.String] })
// What a key does after a dead letter is one of two things.
Contract.actor({ key: TripId, whenDead: "block" })
// @ts-expect-error no such thing
Contract.actor({ key: TripId, whenDead: "wait" })
Subscriber.make("billing", { whenDead: "skip" })
// @ts-expect-error no such thing
Subscriber.make("billing", { whenDead: "wait" })
// @ts-expect-error the upcast must give the new payload
Contract.event({ a: Schema.Int }).next({ b: Schema.Int }, (old) => old)

// -- the client -------------------------------------------------------------------------------------------------------
const asked = ask(me.book({ stops }))
is<Equal<typeof asked, Effect.Effect<Ticket, Full | AlreadyBooked | ClientError, Client>>>()
const tokened = askWithToken(me.book({ stops }))
is<Equal<typeof tokened, Effect.Effect<WithToken<Ticket>, Full | AlreadyBooked | ClientError, Client>>>()
is<Equal<ReturnType<typeof after>, Effect.Effect<void, ClientError, Client>>>()
// @ts-expect-error a subscriber is named with its service
after("token", "overview")
const cancelled = ask(me.cancel({ reason: "" }), { timeout: "1 second", id: "x" })
is<Equal<typeof cancelled, Effect.Effect<void, ClientError, Client>>>()
const sent = send(me.book({ stops }))
is<Equal<typeof sent, Effect.Effect<void, ClientError, Client>>>()
const heard = subscribe([Trips.Trip.events.booked, Wallets.Wallet.events.charged])
type Heard =
  | Event<"trips.Trip.booked", TripId, { readonly cents: number; readonly currency: string }>
  | Event<"wallets.Wallet.charged", TripId, { readonly cents: number }>
is<Equal<Stream.Success<typeof heard>, Placed & Heard>>()
// @ts-expect-error no such option
subscribe(Trips.Trip.events.booked, { until: "now" })
// @ts-expect-error not every error is handled
asked.pipe(Effect.catchTag("Full", () => Effect.fail("full"))) satisfies Effect.Effect<unknown, ClientError, Client>
// @ts-expect-error a command is no event
subscribe(Trips.Trip.commands.book)
// @ts-expect-error no such option
ask(me.status(), { timeuot: "1 second" })
export const withoutEffect = async () => {
  is<Equal<Awaited<ReturnType<typeof trips.ask<Ticket, Full>>>, Ticket>>()
  const status = await trips.ask(me.status())
  is<Equal<typeof status, "free" | "booked">>()
  const answer = await trips.tryAsk(me.book({ stops }))
  if (answer.ok) is<Equal<typeof answer.reply, Ticket>>()
  else is<Equal<typeof answer.error, Full | AlreadyBooked | ClientError>>()
  // @ts-expect-error look at `ok` first
  void answer.reply
  for await (const event of trips.subscribe([Trips.Trip.events.booked, Trips.Trip.events.left])) {
    if (event.type === "trips.Trip.booked") is<Equal<typeof event.payload.currency, string>>()
    // @ts-expect-error `left` says nothing
    else void event.payload.currency
  }
}

// -- actors -----------------------------------------------------------------------------------------------------------
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  // @ts-expect-error the contract declares no Declined
  *book() {
    return yield* new Declined({ reason: "" })
  }
})
// @ts-expect-error outside I/O belongs to a worker
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  *book() {
    yield* HttpClient.HttpClient
    return { cents: 1 }
  }
})
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  // @ts-expect-error not the reply of the contract
  async book() {
    return { total: 1 }
  }
})
// @ts-expect-error `book` has no handler
Actor.make(Trips.Trip, pure).commands(rest)
// @ts-expect-error no such command
Actor.make(Trips.Trip, pure).commands({ ...rest, book: () => ({ cents: 1 }), bok: () => {} })
// @ts-expect-error the initial state is none
Actor.make(Trips.Trip, { state: Schema.Int, initial: "0" })
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  book(_, self) {
    is<Equal<typeof self.key, TripId>>()
    is<Equal<typeof self.state, number>>()
    self.emit.left()
    // @ts-expect-error `left` says nothing
    self.emit.left({ at: 1 })
    // @ts-expect-error no such event
    self.emit.bokked({ cents: 1, currency: "EUR" })
    // @ts-expect-error only the newest version is emitted
    self.emit.booked({ cents: 1 })
    // @ts-expect-error `sends` does not list wallets
    self.send(Wallets.Wallet.at(self.key).charge({ cents: 1 }))
    // @ts-expect-error an event is no command
    self.send(Trips.Trip.events.left.from(self.key, {}))
    // Its own type needs no listing, neither now nor later.
    self.send(Trips.Trip.at(self.key).status())
    self.send(Trips.Trip.at(self.key).status(), { after: "1 hour" })
    self.timer("left", { minutes: 15 }, Trips.Trip.at(self.key).cancel({ reason: "late" }))
    self.cancelTimer("left")
    // @ts-expect-error `sends` does not list wallets
    self.timer("left", "15 minutes", Wallets.Wallet.at(self.key).charge({ cents: 1 }))
    // @ts-expect-error `sends` does not list wallets
    self.send(Wallets.Wallet.at(self.key).charge({ cents: 1 }), { after: "15 minutes" })
    // @ts-expect-error no duration
    self.timer("left", "15 minuts", Trips.Trip.at(self.key).status())
    // @ts-expect-error misspelt
    self.send(Trips.Trip.at(self.key).status(), { afer: "1 hour" })
    // @ts-expect-error an event is no command
    self.timer("left", 1, Trips.Trip.events.left.from(self.key, {}))
    // @ts-expect-error not a state
    self.set("1")
    // @ts-expect-error the state is replaced by `set`
    self.state = 1
    // @ts-expect-error not an error of this contract
    if (self.state > 1) return self.fail(new Declined({ reason: "" }))
    return { cents: 1 }
  }
})
// Generators, Effects, async and plain functions are all handlers, and need no annotations.
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  *book({ stops }, self) {
    if (self.state > 1) return yield* new AlreadyBooked()
    return { cents: stops[0].km }
  }
})
Actor.make(Trips.Trip, pure).commands({
  ...rest,
  book: Effect.fn("book")(function* ({ stops }, self) {
    if (self.state > 1) return yield* new AlreadyBooked()
    return { cents: stops[0].km }
  })
})
Actor.make(Trips.Trip, pure).commands({ ...rest, book: async ({ stops }) => ({ cents: stops[0].km }) })
const plain = Actor.make(Trips.Trip, { ...pure, sends: [Wallets.Wallet] }).commands({
  ...rest,
  book({ stops }, self) {
    self.send(Wallets.Wallet.at(self.key).charge({ cents: stops[0].km }))
    return { cents: stops[0].km }
  }
})
// `Db` shows only in actors that ask for it.
const withDb = Actor.make(Trips.Trip, pure).commands({
  ...rest,
  *book() {
    yield* Db
    return { cents: 1 }
  }
})
is<Equal<(typeof plain)["~requires"], never>>()
is<Equal<(typeof withDb)["~requires"], Db>>()
// States that changed.
Actor.make(Trips.Trip, {
  state: State.make(Schema.Struct({ n: Schema.Int })).next(Schema.Int, (old) => old.n),
  initial: 0
})
// @ts-expect-error the upcast must give the new state
State.make(Schema.Struct({ n: Schema.Int })).next(Schema.Int, (old) => old)
// A reply that takes any object does not hide a handler's errors.
class Open extends Contract.actor({
  key: Schema.String,
  commands: { go: Contract.command({ reply: Schema.Struct({}) }) }
}) {}
const open = Contract.make("open", { Open })
Actor.make(open.Open, pure).commands({
  // @ts-expect-error `go` declares no errors
  *go() {
    return yield* new Declined({ reason: "" })
  }
})

// -- subscribers ------------------------------------------------------------------------------------------------------
const payer = Subscriber.make("payer", { ...pure, sends: [Wallets.Wallet] }).on(
  Trips.Trip.events.booked,
  (event, self) => {
    is<Equal<typeof event.key, TripId>>()
    self.set(event.payload.cents)
    self.send(Wallets.Wallet.at(event.key).charge({ cents: event.payload.cents }))
    self.timer("later", "1 hour", Wallets.Wallet.at(event.key).charge({ cents: 1 }))
    self.cancelTimer("later")
    // @ts-expect-error `sends` does not list trips
    self.timer("later", "1 hour", Trips.Trip.at(event.key).status())
    // @ts-expect-error `sends` does not list trips
    self.send(Trips.Trip.at(event.key).status())
  }
)
// @ts-expect-error outside I/O belongs to a worker
payer.on(Trips.Trip.events.cancelled, function* () {
  yield* HttpClient.HttpClient
})
// @ts-expect-error an event cannot be refused
payer.on(Trips.Trip.events.cancelled, function* () {
  yield* new Declined({ reason: "" })
})
// @ts-expect-error a command is no event
payer.on(Trips.Trip.commands.cancel, () => {})

// Without a state there is nothing to read and nothing to set.
const listener = Subscriber.make("listener", { sends: [Wallets.Wallet] }).on(
  Trips.Trip.events.booked,
  ({ key, lane, payload: { cents } }, self) => {
    is<Equal<typeof lane, string>>()
    is<Equal<typeof self.state, void>>()
    self.send(Wallets.Wallet.at(key).charge({ cents }))
    // @ts-expect-error nothing to set
    self.set(undefined)
    // @ts-expect-error `sends` does not list trips
    self.send(Trips.Trip.at(key).status())
  }
)
is<Equal<typeof listener, Subscriber.Subscriber<"listener", void, "wallets.Wallet">>>()
const bare = Subscriber.make("bare").on(Trips.Trip.events.booked, function* (_, self) {
  yield* Db
  // @ts-expect-error no state
  self.set(1)
})
is<Equal<typeof bare, Subscriber.Subscriber<"bare", void, never, Db>>>()
// @ts-expect-error a state needs its initial value
Subscriber.make("half", { state: Schema.Int })
// @ts-expect-error an initial value needs its schema
Subscriber.make("half", { initial: 0 })
const half = { state: Schema.Int, sends: [Wallets.Wallet] } as const
// @ts-expect-error a state needs its initial value, also where other options are right
Subscriber.make("half", half)
// @ts-expect-error the initial state is none
Subscriber.make("other", { state: Schema.Int, initial: "0" })
// @ts-expect-error misspelt
Subscriber.make("listener", { send: [Wallets.Wallet] })
Subscriber.make("any", { state: Schema.Any, initial: 0 }).on(Trips.Trip.events.booked, (_, self) => self.set({ a: 1 }))
Subscriber.make("maybe", { state: Schema.UndefinedOr(Schema.Int), initial: undefined }).on(
  Trips.Trip.events.booked,
  (event, self) => self.set(event.payload.cents > 0 ? event.payload.cents : undefined)
)

// -- plain transactions ----------------------------------------------------------------------------------------------
// Commands are enqueued in a transaction, or not at all.
const enqueued = Outbox.enqueue(me.book({ stops }))
is<Equal<Effect.Services<typeof enqueued>, Transaction>>()
// @ts-expect-error there is no transaction
Effect.runPromise(enqueued)
// @ts-expect-error the database alone is none
Effect.runPromise(Effect.provide(enqueued, database))
const inTransaction = Effect.flatMap(Db, (db) => db.transaction(enqueued))
Effect.runPromise(Effect.provide(inTransaction, database))
// @ts-expect-error an event is no command
Outbox.enqueue(Trips.Trip.events.left.from(id, {}))

// -- services ---------------------------------------------------------------------------------------------------------
Service.make(Trips, { actors: [plain], subscribers: [payer], allow: { send: [Wallets] } })
// Its own actors need no permission.
const own = Actor.make(Trips.Trip, { ...pure, sends: [Trips.Trip] }).commands({ ...rest, book: () => ({ cents: 1 }) })
Service.make(Trips, { actors: [own] })
// @ts-expect-error trips.Trip is not implemented
Service.make(Trips, { actors: [] })
// @ts-expect-error trips.Trip is not implemented
Service.make(Trips, {})
// @ts-expect-error `allow.send` does not list wallets
Service.make(Trips, { actors: [plain] })
// @ts-expect-error `allow.send` does not list wallets, which a subscriber sends to
Service.make(Trips, { actors: [own], subscribers: [payer], allow: { send: [] } })

// -- at the edge ------------------------------------------------------------------------------------------------------
const secrets = [process.env["SECRET"]]
const declared = Actor.make(Trips.Trip, { ...pure, sends: [Wallets.Wallet] })
const remote = declared.remote({ url: process.env["URL"], secrets })
// To its service an actor is the same wherever its handlers run.
Service.make(Trips, { actors: [remote], allow: { send: [Wallets] } })
// @ts-expect-error `allow.send` does not list wallets
Service.make(Trips, { actors: [remote] })
// @ts-expect-error there is nothing to sign with
declared.remote({ url: "https://edge.test" })
is<Equal<ReturnType<ReturnType<typeof Edge.serve>["fetch"]>, Promise<Response>>>()
Edge.serve([plain], { secrets })
Edge.serve([declared.commands({ ...rest, book: () => ({ cents: 1 }) })], {
  secrets: (env: { readonly SECRET: string }) => [env.SECRET]
})
// @ts-expect-error its database is where its host is
Edge.serve([withDb], { secrets })
// @ts-expect-error also beside one that is pure
Edge.serve([plain, withDb], { secrets })
// @ts-expect-error its handlers are elsewhere
Edge.serve([remote], { secrets })
// @ts-expect-error a test runs handlers, and here are none
given(remote)

// -- the kit ----------------------------------------------------------------------------------------------------------
check(
  given(plain, 1)
    .when(me.book({ stops }))
    .expect({ reply: { cents: 1 }, state: 0, error: new AlreadyBooked() })
)
check(
  given(payer)
    .when(Trips.Trip.events.booked.from(id, { cents: 1, currency: "EUR" }))
    .expect({ state: 1, timers: [{ name: "later", delay: "1 hour", message: me.status() }], cancelledTimers: ["x"] })
)
const asking = given(plain).when(me.status())
// @ts-expect-error a timer has a delay
asking.expect({ timers: [{ name: "later", message: me.status() }] })
// @ts-expect-error not a state
given(plain, "1")
// @ts-expect-error another actor's command
given(plain).when(Wallets.Wallet.at(id).charge({ cents: 1 }))
const cancelling = given(plain).when(me.cancel({ reason: "" }))
// @ts-expect-error an error that `cancel` does not have
cancelling.expect({ error: new AlreadyBooked() })
// @ts-expect-error not the reply of `status`
asking.expect({ reply: "full" })
const hearing = given(payer).when(Trips.Trip.events.booked.from(id, { cents: 1, currency: "EUR" }))
// @ts-expect-error events have no reply
hearing.expect({ reply: 1 })
// @ts-expect-error this actor needs `Db`
check(given(withDb).when(me.status()).expect({}))
