import type { Message } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import {
  type AfterOptions,
  type AskOptions,
  Client,
  type EventRefs,
  type Heard,
  type SubscriberName,
  type WithToken
} from "./Client.ts"
import { ClientError, NotConnected } from "./ClientError.ts"
import type { SubscribeOptions } from "./internal/listen.ts"

/** What a command answered: check `ok`, then TypeScript knows which. */
export type Answered<Reply, Error> =
  | { readonly ok: true; readonly reply: Reply }
  | { readonly ok: false; readonly error: Error | ClientError }

/** A connection for code that is not written with Effect. */
export interface Connection extends AsyncDisposable {
  /** Sends a command and waits for its reply. Rejects with the command's errors or `ClientError`. */
  ask<Reply, Error>(message: Message<string, Reply, Error>, options?: AskOptions): Promise<Reply>
  /** Like `ask`, but errors are part of the result, with their types. */
  tryAsk<Reply, Error>(message: Message<string, Reply, Error>, options?: AskOptions): Promise<Answered<Reply, Error>>
  /** Like `ask`, with a token by which `after` waits until a projection shows what the command did. */
  askWithToken<Reply, Error>(message: Message<string, Reply, Error>, options?: AskOptions): Promise<WithToken<Reply>>
  /** Resolves when a subscriber has committed what it makes of the command's events. Rejects with `ClientError`. */
  after(token: string, subscriber: SubscriberName, options?: AfterOptions): Promise<void>
  /** Sends a command; resolves when the stream has it. Rejects with `ClientError`. */
  send(message: Message, options?: AskOptions): Promise<void>
  /**
   * Events from now on, or from where the options say, until the loop ends or the connection is closed. An event counts as
   * handled when the loop asks for the next one. Throws `ClientError`.
   */
  subscribe<const Refs extends EventRefs>(events: Refs, options?: SubscribeOptions): AsyncIterable<Heard<Refs>>
}

/** Builds the client once; everything runs on its runtime, and closing the connection ends all of it. */
export const make = async (layer: Layer.Layer<Client, ClientError>): Promise<Connection> => {
  const runtime = ManagedRuntime.make(layer)
  const context = await runtime.context()
  const client = Context.get(context, Client)
  let closing: Promise<void> | undefined

  const run = async <A, E>(to: string, effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E | ClientError>> => {
    if (closing !== undefined) return closed(to)
    const exit = await runtime.runPromiseExit(effect)
    return Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? closed(to) : exit
  }
  const orThrow = <A, E>(exit: Exit.Exit<A, E>): A => {
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }
  return {
    ask: async (message, options) => orThrow(await run(message.to, client.ask(message, options))),
    tryAsk: async (message, options) =>
      orThrow(
        await run(
          message.to,
          Effect.match(client.ask(message, options), {
            onSuccess: (reply) => ({ ok: true, reply }) as const,
            onFailure: (error) => ({ ok: false, error }) as const
          })
        )
      ),
    askWithToken: async (message, options) => orThrow(await run(message.to, client.askWithToken(message, options))),
    after: async (token, subscriber, options) =>
      orThrow(await run(subscriber, client.after(token, subscriber, options))),
    send: async (message, options) => orThrow(await run(message.to, client.send(message, options))),
    subscribe: (events, options) => Stream.toAsyncIterableWith(client.subscribe(events, options), context),
    [Symbol.asyncDispose]: () => (closing ??= runtime.dispose())
  }
}

const closed = (to: string): Exit.Exit<never, ClientError> =>
  Exit.fail(new ClientError({ to, reason: new NotConnected({ detail: "the connection was closed" }) }))
