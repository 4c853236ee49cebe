import { assert } from "@effect/vitest"
import { Client, ClientError, type SubscribeOptions, TimedOut } from "@troupe/client"
import { Contract, Key, type Message } from "@troupe/contract"
import { Gateway, toWebHandler } from "@troupe/gateway"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { SignJWT } from "jose"

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}
class Order extends Contract.actor({
  key: Schema.String.check(Schema.isPattern(/^[^!]*$/)),
  commands: {
    place: Contract.command({
      payload: { cents: Schema.Int, at: Schema.optionalKey(Schema.Date), more: Schema.optionalKey(Schema.Json) },
      reply: Schema.Struct({
        cents: Schema.Int,
        at: Schema.optionalKey(Schema.Date),
        note: Schema.optionalKey(Schema.String)
      }),
      errors: [OutOfStock]
    }),
    clear: Contract.command({})
  },
  events: {
    placed: Contract.event({ cents: Schema.Int }).next({ cents: Schema.Int, at: Schema.Date }, ({ cents }) => ({
      cents,
      at: new Date(0)
    })),
    gone: Contract.event()
  }
}) {}
class Shelf extends Contract.actor({ key: Schema.String, events: { filled: Contract.event() } }) {}
export const Shop = Contract.make("shop", { Order, Shelf })

/** What a client was asked to do. */
export interface Asked {
  readonly message: Message
  readonly id: string
  readonly timeout: unknown
  readonly how: "ask" | "send"
}

/** What the service answers: a value, an error, or nothing in time. */
export type Answer = (asked: Asked) => Effect.Effect<unknown, unknown>

/** What it hears. */
export type Hear = (
  events: ReadonlyArray<Contract.AnyEventRef>,
  options: SubscribeOptions
) => Stream.Stream<unknown, ClientError>

/** A client without a server, which keeps what it was asked. */
export const client = (asked: Array<Asked>, answer: Answer, hear: Hear = () => Stream.never): Layer.Layer<Client> => {
  const take =
    (how: Asked["how"]) =>
    (message: Message, options: { id?: string; timeout?: unknown } = {}) =>
      Effect.suspend(() => {
        const one = { message, id: options.id ?? "", timeout: options.timeout, how }
        asked.push(one)
        return how === "send" ? Effect.void : answer(one)
      })
  return Layer.succeed(
    Client,
    Client.of({
      connected: Effect.succeed(true),
      ask: () => Effect.die("a gateway asks with a token"),
      askWithToken: ((message: Message, options: object) =>
        Effect.map(take("ask")(message, options), (reply) => ({ reply, token: tokenOf(message) }))) as never,
      after: () => Effect.die("a gateway waits for no subscriber"),
      send: take("send") as never,
      subscribe: hear as never
    })
  )
}

/** None of `clear`, as if a host of older code had answered. */
const tokenOf = ({ key, to }: Message) => (to === "shop.Order.clear" ? "" : `shop.Order.7.42.${Key.encode(key)}`)

export const late = (to: string) => Effect.fail(new ClientError({ to, reason: new TimedOut({ after: "1s" }) }))

const secret = "a secret of thirty-two bytes, it is"
/** For gateways whose tokens have public keys. */
export const idSecret = "a secret of ids that has thirty-two bytes"
export const auth = { secret, issuer: "https://id.example", audience: "shop" }

/** A token for `sub`; `change` makes a wrong one of it. */
export const token = (
  sub: string,
  scope: string,
  change: { readonly exp?: number; readonly issuer?: string; readonly audience?: string; readonly secret?: string } = {}
): Promise<string> =>
  new SignJWT({ scope })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuer(change.issuer ?? auth.issuer)
    .setAudience(change.audience ?? auth.audience)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + (change.exp ?? 60))
    .sign(new TextEncoder().encode(change.secret ?? secret))

/** A gateway over a client without a server; `post` sends as ada, who may do everything. */
export const gateway = async (
  options: Partial<Parameters<typeof Gateway.make>[0]> = {},
  answer: Answer = () => Effect.succeed({ cents: 7 }),
  hear?: Hear
) => {
  const asked: Array<Asked> = []
  const { dispose, fetch } = toWebHandler(
    Gateway.make({ contracts: [Shop], auth, ...options }),
    client(asked, answer, hear)
  )
  const bearer = await token("ada", "send:* hear:* metrics")
  const post = (path: string, body?: BodyInit, headers: Record<string, string> = {}, init: RequestInit = {}) =>
    fetch(
      new Request(`http://shop.example${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body }),
        ...init
      })
    )
  return { asked, fetch, post, bearer, [Symbol.asyncDispose]: dispose }
}

export const json = async (response: Response) => (await response.json()) as Record<string, unknown>

/** The status, and the code of the problem that it must be. */
export const refused = async (response: Promise<Response>) => {
  const answer = await response
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  const { code, detail, status, title, type } = await json(answer)
  assert.strictEqual(status, answer.status)
  assert.strictEqual(type, `urn:troupe:problem:${String(code)}`)
  assert.isNotEmpty(title)
  assert.isNotEmpty(detail)
  return [answer.status, code]
}
