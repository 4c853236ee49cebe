import { type Contract, Envelope, type Message, type Reply } from "@troupe/contract"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ClientError, Rejected } from "./ClientError.ts"
import { after as awaitCaughtUp } from "./internal/after.ts"
import { deliver } from "./internal/deliver.ts"
import { connect, type ConnectOptions, type Dial } from "./internal/Link.ts"
import { listen, type Placed, type SubscribeOptions } from "./internal/listen.ts"
import { Places } from "./internal/places.ts"

/** How one command is sent. */
export interface AskOptions {
  /**
   * For everything: waiting for a place, sending, handling, the answer. Default: 5 seconds. A command that is asked for is
   * not handled after it: its id is then settled, and whoever asks again with it hears TRP0212.
   */
  readonly timeout?: Duration.Input
  /**
   * A command with an id that was handled before is answered again, not handled again. Another command under a used id is
   * refused (TRP0206); where it is sent, and nobody waits, it becomes a dead letter of that code. Default: a new UUIDv7.
   */
  readonly id?: string
  /**
   * What to do while the service's stream is full: `fail` with `StreamFull`, which can be tried again, or `wait` within the
   * timeout, trying again after 25 ms to 1 s. Default: `fail`.
   */
  readonly whenFull?: "fail" | "wait"
}

/** A reply, and its consistency token for `after`: text of at most 400 printable ASCII characters. */
export interface WithToken<Reply> {
  readonly reply: Reply
  readonly token: string
}
/** A subscriber's name: `<service>.<name>`, as in `orders.overview`. */
export type SubscriberName = `${string}.${string}`
export interface AfterOptions {
  /** Default: 5 seconds. */
  readonly timeout?: Duration.Input
}

/** One kind of event, or several, of one or several services. */
export type EventRefs = Contract.AnyEventRef | ReadonlyArray<Contract.AnyEventRef>
/** An event of these kinds, as a subscription yields it. */
export type Heard<Refs extends EventRefs> = Placed &
  Contract.EventOf<Refs extends ReadonlyArray<infer Ref> ? Ref : Refs>

/** Sends commands to services and hears their events, over one connection. */
export class Client extends Context.Service<
  Client,
  {
    ask<Reply, Error>(
      message: Message<string, Reply, Error>,
      options?: AskOptions
    ): Effect.Effect<Reply, Error | ClientError>
    askWithToken<Reply, Error>(
      message: Message<string, Reply, Error>,
      options?: AskOptions
    ): Effect.Effect<WithToken<Reply>, Error | ClientError>
    after(token: string, subscriber: SubscriberName, options?: AfterOptions): Effect.Effect<void, ClientError>
    send(message: Message, options?: AskOptions): Effect.Effect<void, ClientError>
    subscribe<const Refs extends EventRefs>(
      events: Refs,
      options?: SubscribeOptions
    ): Stream.Stream<Heard<Refs>, ClientError>
    /** Whether a server is there, as far as we know. A connection that is lost is restored by itself. */
    readonly connected: Effect.Effect<boolean>
  }
>()("@troupe/client/Client") {}

/**
 * Sends a command and waits for its reply. Fails with the command's own errors, or with `ClientError`. It is sent again,
 * under the same id, until it is answered or its time is over: a service that restarts costs time only.
 */
export const ask = <Reply, Error>(
  message: Message<string, Reply, Error>,
  options?: AskOptions
): Effect.Effect<Reply, Error | ClientError, Client> => Effect.flatMap(Client, (client) => client.ask(message, options))

/** As `ask`, with a token by which `after` waits until a projection shows what the command did. */
export const askWithToken = <Reply, Error>(
  message: Message<string, Reply, Error>,
  options?: AskOptions
): Effect.Effect<WithToken<Reply>, Error | ClientError, Client> =>
  Effect.flatMap(Client, (client) => client.askWithToken(message, options))

/**
 * Done when a subscriber has committed what it makes of the events that the command said, and of all before them in their
 * lane: who then reads its tables, from the same database, sees them. An event that the subscriber gave up (a dead letter)
 * is passed over; while one of the command's key is parked it is not done. Fails with `TimedOut`, and with `NotConnected` when
 * no host owns the partition; with `Rejected` at once when the token is none (TRP0214), when the subscriber does not listen
 * to that actor (TRP0215), and when over 1,000 wait for the partition (TRP0311).
 */
export const after = (
  token: string,
  subscriber: SubscriberName,
  options?: AfterOptions
): Effect.Effect<void, ClientError, Client> =>
  Effect.flatMap(Client, (client) => client.after(token, subscriber, options))

/**
 * Sends a command; done when the stream has it, which is as durable as the server: for what must not be lost with a power
 * cut, use an outbox or `ask`. The reply, if any, is dropped.
 */
export const send = (message: Message, options?: AskOptions): Effect.Effect<void, ClientError, Client> =>
  Effect.flatMap(Client, (client) => client.send(message, options))

/**
 * Events of these kinds, of one or several services, in the order of their streams: from now on, or from where the options
 * say, also those that were said while the connection was lost. At least once: an event counts as handled when the next one
 * is asked for, so take them one by one where a place is kept (`durable`), and mind that the last one before the end comes
 * again, after a crash up to 257 do; they have the same `id`. For handling each one exactly once use a `Subscriber`. A slow reader holds the server back,
 * not its own memory (256 events). Events of a newer contract are left out, with a warning and the counter
 * `troupe_client_events_skipped`. Fails with `PlaceLost` when what follows is not there any more, with `TakenOver` when
 * another one subscribes under the same durable name.
 */
export const subscribe = <const Refs extends EventRefs>(
  events: Refs,
  options?: SubscribeOptions
): Stream.Stream<Heard<Refs>, ClientError, Client> =>
  Stream.unwrap(Effect.map(Client, (client) => client.subscribe(events, options)))

/** A client over the transport that `dial` connects. */
export const layer =
  (dial: Dial) =>
  (options: ConnectOptions): Layer.Layer<Client, ClientError> =>
    Layer.effect(
      Client,
      Effect.gen(function* () {
        const random = SecureRandom.make(randomBytes())
        const link = yield* connect(dial, options)
        const places = new Places(options.maxInFlight ?? 1_024)
        const source = options.name ?? "client"

        const deliverOne = Effect.fnUntraced(function* (message: Message, answer: boolean, options: AskOptions = {}) {
          const id = options.id ?? (yield* random.uuidV7())
          const traceparent = Envelope.traceparent(yield* Effect.currentSpan)
          const timeout = Duration.fromInputUnsafe(options.timeout ?? "5 seconds")
          const whenFull = options.whenFull ?? "fail"
          return yield* deliver(link, places, { message, id, source, timeout, answer, whenFull, traceparent })
        })
        const span = (verb: string, message: Message) =>
          // A stack for each span would cost more than the rest.
          Effect.withSpan(
            `${verb} ${message.to}`,
            { kind: verb === "ask" ? "client" : "producer" },
            { captureStackTrace: false }
          )

        const askWithToken = (message: Message, options?: AskOptions): Effect.Effect<WithToken<unknown>, unknown> =>
          deliverOne(message, true, options).pipe(
            Effect.flatMap((answer) =>
              answer === undefined
                ? Effect.die("an ask ends with an answer")
                : Effect.map(outcome(message, answer), (reply) => ({ reply, token: answer.consistency ?? "" }))
            ),
            span("ask", message)
          )

        return Client.of({
          connected: Effect.sync(() => link.connected),
          ask: (message, options) => Effect.map(askWithToken(message, options), ({ reply }) => reply) as never,
          askWithToken: (message, options) => askWithToken(message, options) as never,
          after: (token, subscriber, { timeout = "5 seconds" } = {}) =>
            awaitCaughtUp(link, { token, subscriber, timeout: Duration.fromInputUnsafe(timeout) }).pipe(
              Effect.withSpan(`after ${subscriber}`, { kind: "client" }, { captureStackTrace: false })
            ),
          send: (message, options) =>
            Effect.asVoid(deliverOne(message, false, options)).pipe(span("send", message)) as never,
          subscribe: (events, options = {}) =>
            listen(link, source, "kind" in events ? [events] : events, options) as never
        })
      })
    )

/** Random bytes, had from the platform a page at a time: for each id alone they are a tenth of what an ask costs. */
const randomBytes = (): ((size: number) => Uint8Array) => {
  const page = new Uint8Array(4_096)
  let used = page.length
  return (size) => {
    if (size > page.length) return crypto.getRandomValues(new Uint8Array(size))
    if (used + size > page.length) {
      crypto.getRandomValues(page)
      used = 0
    }
    used += size
    return page.slice(used - size, used)
  }
}

const Rejection = Schema.fromJsonString(Schema.Struct({ code: Schema.String, detail: Schema.String }))
const rejection = Schema.decodeUnknownOption(Rejection)

/** What a command answered: its reply, one of its errors, or why it was not handled. */
const outcome = ({ target, to }: Message, { body, outcome }: Reply.Reply): Effect.Effect<unknown, unknown> => {
  const rejected = (code: string, detail: string) =>
    Effect.fail(new ClientError({ to, reason: new Rejected({ code, detail }) }))
  if (outcome === "rejected") {
    const said = rejection(body)
    return said._tag === "Some" ? rejected(said.value.code, said.value.detail) : rejected("TRP0208", body.slice(0, 100))
  }
  const decoded = target[outcome].decode(body)
  if (!decoded.ok) return rejected("TRP0208", decoded.why)
  return outcome === "reply" ? Effect.succeed(decoded.value) : Effect.fail(decoded.value)
}
