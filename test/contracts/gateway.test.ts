import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { Orders } from "@shop/orders"
import {
  BadKey,
  Client,
  ClientError,
  NotAllowed,
  NotConnected,
  PlaceLost,
  type Reason,
  Rejected,
  StreamFull,
  type SubscribeOptions,
  TimedOut,
  TooLarge,
  TooManyUnderWay
} from "@troupe/client"
import { Contract, EventWire, type Message } from "@troupe/contract"
import { AsyncApi, OpenApi } from "@troupe/contract/document"
import { Gateway, toWebHandler } from "@troupe/gateway"
import { Ajv2020 } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { hard } from "./hard.ts"

const contracts = [Orders, hard]
const document = OpenApi.make(contracts) as unknown as Documented
const asyncapi = AsyncApi.make(contracts) as unknown as {
  readonly components: {
    readonly messages: { readonly [name: string]: { readonly examples: ReadonlyArray<{ readonly payload: unknown }> } }
  }
}
const ajv = new Ajv2020({ strict: false })
formats.default(ajv)
ajv.addSchema(JSON.parse(JSON.stringify(document)), "openapi")

interface Documented {
  readonly paths: { readonly [path: string]: { readonly post: Operation } }
  readonly components: { readonly responses: { readonly [name: string]: Described } }
}
interface Operation {
  readonly parameters: ReadonlyArray<{ readonly name?: string; readonly example?: string }>
  readonly requestBody: { readonly content: { readonly [type: string]: { readonly example?: unknown } } }
  readonly responses: { readonly [status: string]: Described | { readonly $ref: string } }
}
interface Described {
  readonly headers?: { readonly [name: string]: object }
  readonly content?: { readonly [type: string]: { readonly schema: object; readonly example?: unknown } }
}

/** What the gateway's client answers, whatever it is asked. */
type Answer = (message: Message) => Effect.Effect<unknown, unknown>
type Hear = (
  refs: ReadonlyArray<Contract.AnyEventRef>,
  options: SubscribeOptions
) => Stream.Stream<unknown, ClientError>
const gateway = (
  answer: Answer,
  options: Partial<Parameters<typeof Gateway.make>[0]> = {},
  hear: Hear = () => Stream.empty
) =>
  toWebHandler(
    Gateway.make({ contracts, auth: "none", ...options }),
    Layer.succeed(
      Client,
      Client.of({
        connected: Effect.succeed(true),
        ask: () => Effect.die("a gateway asks with a token"),
        askWithToken: ((message: Message) =>
          Effect.map(answer(message), (reply) => ({ reply, token: "orders.Order.7.42.o-1" }))) as never,
        after: () => Effect.die("a gateway waits for no subscriber"),
        send: (() => Effect.void) as never,
        subscribe: hear as never
      })
    )
  )

/** Posts, and checks that the document says the answer: its status, its headers and its body. */
const told = async (
  path: string,
  operation: Operation,
  init: { readonly body?: unknown; readonly headers?: Record<string, string> },
  answer: Answer,
  options?: Partial<Parameters<typeof Gateway.make>[0]>
): Promise<Response> => {
  const { dispose, fetch } = gateway(answer, options)
  const { body, headers } = init
  const response = await fetch(
    new Request(`http://localhost${path}`, {
      method: "POST",
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
  )
  await dispose()
  const { status } = response
  const said = operation.responses[status] ?? assert.fail(`${path}: the document has no ${status}`)
  const described = "$ref" in said ? (document.components.responses[said.$ref.split("/").at(-1) ?? ""] ?? {}) : said
  const names = new Set(Object.keys(described.headers ?? {}).map((name) => name.toLowerCase()))
  const own = /^(troupe-|ce-|retry-after|preference-applied|www-authenticate)/
  const unsaid = [...response.headers.keys()].filter((name) => own.test(name) && !names.has(name))
  assert.deepStrictEqual(unsaid, [], `${path} ${status}`)
  const text = await response.clone().text()
  const type = response.headers.get("content-type")
  if (type === null) assert.deepStrictEqual([described.content, text], [undefined, ""])
  else {
    const { schema } = described.content?.[type] ?? assert.fail(`${path} ${status}: the document has no ${type}`)
    const is = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object)
    assert.isTrue(is(JSON.parse(text)), `${path} ${status}: ${text} ${JSON.stringify(is.errors)}`)
  }
  return response
}

const commands = contracts
  .flatMap(Contract.actors)
  .flatMap(({ commands, name }) =>
    Object.values(commands).map(({ target, type }) => {
      const path = `/v1/${name.replace(".", "/")}/{key}/${target.command}`
      const { post } = document.paths[path] ?? assert.fail(path)
      const at = path.replace("{key}", encodeURIComponent(post.parameters[0]?.example ?? ""))
      return { type, target, post, path: at, body: post.requestBody.content["application/json"]?.example }
    })
  )
  .filter(({ body }) => body !== undefined)
const place = commands.find(({ type }) => type === "orders.Order.place") ?? assert.fail("orders.Order.place")

// Each request is logged.
beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

describe("what a gateway answers", () => {
  it("is in the document: replies, and typed errors", async () => {
    let refused = 0
    for (const { body, path, post, target } of commands) {
      const example = post.responses["200"] as Described | undefined
      const reply = target.reply.decode(JSON.stringify(example?.content?.["application/json"]?.example) ?? "")
      assert.isTrue(reply.ok, path)
      const done = await told(path, post, { body }, () => Effect.succeed(reply.ok ? reply.value : undefined))
      assert.strictEqual(done.status, example === undefined ? 204 : 200)
      const sent = await told(path, post, { body, headers: { prefer: "respond-async" } }, () => Effect.void)
      assert.strictEqual(sent.status, 202)
      const examples = (post.responses["422"] as Refused).content["application/problem+json"]
      for (const { value } of Object.values(examples.examples ?? {})) {
        const error = target.error.decode(JSON.stringify(value.error))
        const answer = await told(path, post, { body }, () => Effect.fail(error.ok ? error.value : undefined))
        const { detail, instance, ...problem } = (await answer.json()) as Record<string, unknown>
        const { detail: _, ...expected } = value
        assert.deepStrictEqual([answer.status, problem], [422, expected])
        assert.isDefined(detail ?? instance)
        refused++
      }
    }
    assert.strictEqual(refused, 4)
  })

  const reasons: ReadonlyArray<readonly [number | "default", Reason]> = [
    [400, new BadKey({ key: "k" })],
    [404, new Rejected({ code: "TRP0202", detail: "" })],
    [409, new Rejected({ code: "TRP0212", detail: "" })],
    [413, new TooLarge({ bytes: 2, limit: 1 })],
    [422, new Rejected({ code: "TRP0206", detail: "" })],
    [503, new StreamFull({ stream: "CMD_orders" })],
    [503, new TooManyUnderWay({ limit: 1 })],
    [503, new NotConnected({ detail: "" })],
    [503, new Rejected({ code: "TRP0307", detail: "" })],
    [504, new TimedOut({ after: "10s" })]
  ]
  it.each(reasons)("is in the document: %s for %o", async (status, reason) => {
    const { body, path, post } = place
    const failing = () => Effect.fail(new ClientError({ to: place.type, reason }))
    assert.strictEqual((await told(path, post, { body }, failing)).status, status)
  })

  it("is in the document where nobody is asked", async () => {
    const { body, path, post } = place
    const never = () => assert.fail("it was asked")
    const closed = { auth: { secret: "a secret of thirty-two bytes, it is" } }
    const statuses = [
      await told(path, post, { body: "{" }, never),
      await told(path, post, { body: {} }, never),
      await told(path, post, { body, headers: { "idempotency-key": "" } }, never),
      await told(path, post, { body, headers: { "content-type": "text/plain" } }, never),
      await told(path, post, { body }, never, { limits: { body: 8 } }),
      await told(path, post, { body }, never, closed),
      await told(path, post, { body, headers: { authorization: "Bearer a.b.c" } }, never, closed),
      await told(path.replace("place", "settle"), { ...post }, { headers: { origin: "http://other" } }, never)
    ].map(({ status }) => status)
    assert.deepStrictEqual(statuses, [400, 400, 400, 415, 413, 401, 401, 403])
  })

  it("is in the document for a CloudEvent, in both modes", async () => {
    const { post } = document.paths["/v1/orders"] ?? assert.fail("/v1/orders")
    const event = { specversion: "1.0", id: "1", source: "/a/test", type: place.type, subject: "o-1" }
    const command = ajv.getSchema("openapi#/components/schemas/orders.cloudevents.command")
    const reply: Answer = () => Effect.succeed({ cents: 1 })
    assert.isTrue(command?.({ ...event, data: place.body }))
    assert.isFalse(command?.(event))
    const structured = {
      body: { ...event, data: place.body },
      headers: { "content-type": "application/cloudevents+json" }
    }
    assert.strictEqual((await told("/v1/orders", post, structured, reply)).status, 200)
    const headers = Object.fromEntries(Object.entries(event).map(([name, value]) => [`ce-${name}`, value]))
    for (const name of Object.keys(headers))
      assert.include(
        post.parameters.map(({ name }) => name),
        name
      )
    assert.strictEqual((await told("/v1/orders", post, { body: place.body, headers }, reply)).status, 200)
    const settled = { headers: { ...headers, "ce-type": "orders.Order.settle" } }
    assert.strictEqual((await told("/v1/orders", post, settled, () => Effect.void)).status, 204)
  })

  it("is in the document for events, in their newest version", async () => {
    let heard = 0
    for (const contract of contracts) {
      const service = contract["~service"]
      const { get } = document.paths[`/v1/${service}/events`] as unknown as { readonly get: Operation }
      const { content } = get.responses["200"] as Described
      assert.deepStrictEqual(Object.keys(content ?? {}), ["text/event-stream"])
      const is = ajv.getSchema(`openapi#/components/schemas/${service}.cloudevents.event`)
      const example = /^data: (.*)$/m.exec(String(content?.["text/event-stream"]?.example))?.[1] ?? ""
      assert.isTrue(is?.(JSON.parse(example)), `${example}: ${JSON.stringify(is?.errors)}`)
      const events = Contract.actors(contract).flatMap(({ events }) => Object.values(events))
      const said = events.map(({ definition, type }) => {
        const examples = asyncapi.components.messages[`${type}.v${definition.version}`]?.examples
        const payload = EventWire.make(definition).decode(JSON.stringify(examples?.[0]?.payload), definition.version)
        assert.isTrue(payload.ok, type)
        const at = { id: "1", time: "2026-01-31T12:00:00.000Z", correlationId: "0", causationId: "0", place: "43" }
        return { ...at, type, key: "a-1", payload: payload.ok ? payload.value : undefined }
      })
      const hear: Hear = (_, { onOpen }) => {
        onOpen?.("42")
        return Stream.fromIterable(said)
      }
      const { dispose, fetch } = gateway(() => Effect.void, {}, hear)
      const response = await fetch(new Request(`http://localhost/v1/${service}/events`))
      assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream\b/)
      const text = await response.text()
      await dispose()
      for (const [, type, data = ""] of text.matchAll(/^event: (.*)\ndata: (.*)$/gm)) {
        const event = JSON.parse(data) as { readonly type: string }
        assert.isTrue(is?.(event), `${data}: ${JSON.stringify(is?.errors)}`)
        assert.isFalse(is?.({ ...event, dataversion: 9 }))
        assert.strictEqual(event.type, type)
        heard++
      }
    }
    assert.strictEqual(heard, 4)
  })

  it("is in the document when a place is gone", async () => {
    const reason = new PlaceLost({ code: "TRP0407", stream: "EVT_orders", why: "" })
    const hear: Hear = () => Stream.fail(new ClientError({ to: "EVT_orders", reason }))
    const { dispose, fetch } = gateway(() => Effect.void, {}, hear)
    const { status } = await fetch(
      new Request("http://localhost/v1/orders/events", { headers: { "last-event-id": "1" } })
    )
    await dispose()
    assert.strictEqual(status, 410)
    const { get } = document.paths["/v1/orders/events"] as unknown as { readonly get: Operation }
    assert.property(get.responses, "410")
  })

  it("is not in the document where the gateway itself fails: a problem by default", async () => {
    const { dispose, fetch } = gateway(() => new ClientError({ to: "", reason: new NotAllowed({ subject: "" }) }))
    const answer = await fetch(
      new Request(`http://localhost${place.path}`, {
        method: "POST",
        body: JSON.stringify(place.body),
        headers: { "content-type": "application/json" }
      })
    )
    await dispose()
    assert.strictEqual(answer.status, 502)
    assert.isTrue(ajv.getSchema("openapi#/components/schemas/Problem")?.(await answer.json()))
    assert.property(place.post.responses, "default")
  })
})

interface Refused extends Described {
  readonly content: {
    readonly "application/problem+json": {
      readonly schema: object
      readonly examples?: {
        readonly [name: string]: { readonly value: { readonly error: unknown; readonly detail: string } }
      }
    }
  }
}
