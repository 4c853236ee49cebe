import { Parser } from "@asyncapi/parser"
import { assert, describe, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Contract, Envelope, Json, Reply } from "@troupe/contract"
import { AsyncApi, OpenApi } from "@troupe/contract/document"
import { Ajv } from "ajv"
import { Ajv2020 } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { empty, hard, other } from "./hard.ts"

const sets: ReadonlyArray<readonly [string, ReadonlyArray<Contract.AnyContract>]> = [
  ["the shop", [Orders, Payments, Shipping]],
  ["hard contracts", [hard, empty, other]],
  ["no contract", []]
]

/** Every schema of a document, by its place: what a reference may name. */
const validators = (kind: "openapi" | "asyncapi", contracts: ReadonlyArray<Contract.AnyContract>) => {
  const options = { strict: false, allErrors: true }
  const ajv = kind === "openapi" ? new Ajv2020(options) : new Ajv(options)
  formats.default(ajv)
  const document = kind === "openapi" ? OpenApi.make(contracts) : AsyncApi.make(contracts)
  ajv.addSchema(JSON.parse(JSON.stringify(document)), kind)
  return (place: string) => {
    const validate = ajv.getSchema(`${kind}#/components/${place}`)
    if (validate === undefined) return assert.fail(`${kind} has no ${place}`)
    return (value: unknown) => {
      assert.isTrue(validate(value), `${place}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`)
    }
  }
}
const struct = (fields: Contract.Fields) => Schema.Struct(fields) as unknown as Contract.Codec

/** What a schema writes on the wire, for many values. */
const written = Effect.fnUntraced(function* (codec: Contract.Codec, seed: string) {
  const values = yield* Arbitrary.sampleEffect(Arbitrary.schema(codec as never), { count: 30, seed } as never)
  const wire = Json.make(codec)
  const texts = values.map((value) => wire.encode(value)).flatMap((text) => (text.ok ? [text.text] : []))
  assert.isAbove(texts.length, 0, `${seed}: nothing was written`)
  return texts.map((text): unknown => (text === "" ? "" : JSON.parse(text)))
})

const described = (document: unknown): ReadonlyArray<readonly [at: string, ref: string]> => {
  const found: Array<readonly [string, string]> = []
  const walk = (value: unknown, at: string): void => {
    if (typeof value !== "object" || value === null) return
    for (const [name, child] of Object.entries(value)) {
      if (name === "$ref" && typeof child === "string") found.push([at, child])
      walk(child, `${at}/${name}`)
    }
  }
  walk(document, "#")
  return found
}
const resolve = (document: unknown, ref: string): unknown =>
  ref
    .slice(2)
    .split("/")
    .reduce<unknown>((value, name) => (value as { readonly [name: string]: unknown } | undefined)?.[name], document)

describe.each(sets)("the documents of %s", (_, contracts) => {
  it("are valid OpenAPI 3.1, and refer to what is there", async () => {
    const document = OpenApi.make(contracts)
    const validator = new Validator()
    const { errors, valid } = await validator.validate(structuredClone(document) as never)
    assert.isTrue(valid, JSON.stringify(errors))
    assert.strictEqual(validator.version, "3.1")
    for (const [at, ref] of described(document)) assert.isDefined(resolve(document, ref), `${at} refers to ${ref}`)
  })

  // The parser alone takes a second or two to load.
  it("are valid AsyncAPI 3.0", { timeout: 30_000 }, async () => {
    const document = AsyncApi.make(contracts)
    const found = await new Parser().validate(JSON.stringify(document))
    assert.deepStrictEqual(
      found
        .filter(({ severity }) => severity <= 1)
        .map(({ code, message, path }) => `${code} ${path.join("/")} ${message}`),
      []
    )
    for (const [at, ref] of described(document)) assert.isDefined(resolve(document, ref), `${at} refers to ${ref}`)
  })

  it("are the same whatever the order of contracts", () => {
    const turned = contracts.toReversed()
    assert.strictEqual(JSON.stringify(OpenApi.make(turned)), JSON.stringify(OpenApi.make(contracts)))
    assert.strictEqual(JSON.stringify(AsyncApi.make(turned)), JSON.stringify(AsyncApi.make(contracts)))
  })

  it("have each command and each event once", () => {
    const refs = contracts.flatMap(Contract.actors)
    const commands = refs.flatMap((ref) => Object.values(ref.commands))
    const events = refs.flatMap((ref) => Object.values(ref.events))
    const { operations } = AsyncApi.make(contracts) as { readonly operations: object }
    assert.deepStrictEqual(
      Object.keys(operations).sort(),
      [...commands.map(({ type }) => `cmd.${type}`), ...events.map(({ type }) => `evt.${type}`)].sort()
    )
    const { paths } = OpenApi.make(contracts) as { readonly paths: object }
    assert.strictEqual(Object.keys(paths).filter((path) => path.includes("{key}")).length, commands.length)
  })

  it("say which scope each operation needs, unless there are no tokens", async () => {
    const operations = (auth: "jwt" | "none") => {
      const { paths } = OpenApi.make(contracts, { auth }) as { readonly paths: { readonly [path: string]: object } }
      return Object.entries(paths).flatMap(([path, methods]) =>
        (Object.values(methods) as ReadonlyArray<Secured>).map((operation) => ({ ...operation, path }))
      )
    }
    for (const { path, responses, security } of operations("jwt")) {
      const [, , service, actor, , command] = path.split("/")
      const scope = command === undefined ? `hear:${service}` : `send:${service}.${actor}.${command}`
      assert.deepStrictEqual(security, [{ bearer: actor === undefined ? [] : [scope] }])
      assert.property(responses, "401")
    }
    for (const { responses, security } of operations("none")) {
      assert.isUndefined(security)
      assert.notProperty(responses, "401")
    }
    const { valid } = await new Validator().validate(OpenApi.make(contracts, { auth: "none" }) as never)
    assert.isTrue(valid)
  })

  it.effect("take what the contracts write", () =>
    Effect.gen(function* () {
      const http = validators("openapi", contracts)
      const nats = validators("asyncapi", contracts)
      let checked = 0
      const takes = Effect.fnUntraced(function* (codec: Contract.Codec, name: string, of: ReadonlyArray<typeof http>) {
        const all = of.map((schema) => schema(`schemas/${name}`))
        for (const value of yield* written(codec, name)) {
          for (const check of all) check(value)
          checked++
        }
      })
      for (const { commands, events } of contracts.flatMap(Contract.actors)) {
        for (const { command, type } of Object.values(commands)) {
          yield* takes(struct(command.payload), `${type}.payload`, [http, nats])
          if (command.reply.ast._tag !== "Void") yield* takes(command.reply, `${type}.reply`, [http, nats])
          for (const error of command.errors) {
            yield* takes(error, `${type}.error`, [nats])
            for (const value of yield* written(error, type)) {
              const { _tag: tag } = value as { readonly _tag: string }
              const problem = { type: OpenApi.errorType(type, tag), title: tag, status: 422, detail: "", error: value }
              http(`schemas/${OpenApi.errorName(type, tag)}`)(problem)
            }
          }
        }
        for (const { definition, type } of Object.values(events)) {
          const versions = [...definition.upcasts.map(({ from }) => from), definition.payload]
          for (const [i, fields] of versions.entries()) {
            yield* takes(struct(fields), `${type}.v${i + 1}`, i === versions.length - 1 ? [http, nats] : [nats])
          }
        }
      }
      assert.isTrue(checked > 100 || contracts.length === 0)
    })
  )

  it("take the headers that Troupe writes, and none that it refuses", () => {
    const nats = validators("asyncapi", contracts)
    const refuses = (place: string, headers: Envelope.Headers) =>
      assert.throws(() => nats(place)(headers), /schemas|messages/)
    const envelope = { id: "1", source: "a test", key: "k k", time: "2026-01-31T12:00:00Z", correlationId: "0" }
    for (const { commands, events } of contracts.flatMap(Contract.actors)) {
      for (const { target, type } of Object.values(commands)) {
        const place = `messages/${type}/headers`
        const asked = { replyTo: "_INBOX.a.b", deadlineMs: 5_000, contract: target.contract }
        const headers = Envelope.toHeaders({ ...envelope, ...asked, type })
        nats(place)({ ...headers, "Nats-Msg-Id": "1.abc" })
        nats(place)({ "ce-id": "1", "ce-type": type, "ce-source": "nats pub" })
        refuses(place, Envelope.toHeaders({ ...envelope, type: `${type}x` }))
        refuses(place, Envelope.toHeaders({ ...envelope, type, replyTo: "evt.a.b" }))
        refuses(place, { ...headers, "Nats-Scheduler": "x" })
        for (const outcome of ["reply", "error", "rejected"] as const) {
          if (outcome === "error" && Object.values(commands).every(({ command }) => command.errors.length === 0))
            continue
          if (outcome === "error" && commands[target.command]?.command.errors.length === 0) continue
          const answer = Reply.headers({ id: "2", outcome, body: "" }, { id: "1", type }, target.service)
          const place = outcome === "rejected" ? "messages/rejected/headers" : `messages/${type}.${outcome}/headers`
          nats(place)(answer)
          refuses(place, { ...answer, "Troupe-Outcome": "done" })
        }
      }
      for (const { definition, type } of Object.values(events)) {
        for (let version = 1; version <= definition.version; version++) {
          const place = `messages/${type}.v${version}/headers`
          const headers = Envelope.toHeaders({ ...envelope, type, version, position: 4, contract: 1 })
          nats(place)(headers)
          refuses(place, { ...headers, "ce-dataversion": "0" })
        }
      }
    }
  })

  it("have examples that the contracts take", () => {
    const nats = AsyncApi.make(contracts) as unknown as Documented
    const http = OpenApi.make(contracts) as unknown as { readonly paths: { readonly [path: string]: Posted } }
    for (const { commands, definition, name } of contracts.flatMap(Contract.actors)) {
      for (const { target, type } of Object.values(commands)) {
        const path = http.paths[`/v1/${name.replace(".", "/")}/{key}/${target.command}`]
        const example = path?.post.requestBody.content["application/json"].example
        // The pattern of this one is not guessed.
        assert.strictEqual(example === undefined, type === "hard.Guess.at", type)
        if (example !== undefined) assert.isTrue(target.payload.decode(JSON.stringify(example)).ok, type)
        const key = path?.post.parameters[0]?.example
        assert.isTrue(Json.make(definition.key).decode(JSON.stringify(key)).ok, type)
        const [answer] = nats.components.messages[`${type}.reply`]?.examples ?? []
        const text = answer?.payload === "" ? "" : JSON.stringify(answer?.payload)
        assert.isTrue(target.reply.decode(text).ok, `${type}: ${text}`)
      }
    }
  })
})

describe("the documents of a hard contract", () => {
  const { target } = hard.Hard.at("a-1" as never).all({} as never)
  const decodes = (value: object) => target.payload.decode(JSON.stringify(value)).ok
  const { paths } = OpenApi.make([hard]) as unknown as { readonly paths: { readonly [path: string]: Posted } }
  const example = paths["/v1/hard/Hard/{key}/all"]?.post.requestBody.content["application/json"].example as object
  const wrong: ReadonlyArray<readonly [string, object]> = [
    ["a tuple in another order", { tuple: [1, "a"] }],
    ["a tuple that is too short", { tuple: ["a"] }],
    ["a tuple that is too long", { tuple: ["a", 1, 1] }],
    ["the rest of a tuple", { rest: ["a", true, 1] }],
    ["deep in a recursive type", { tree: { name: "a", kids: [{ name: "b", kids: [{ name: 1, kids: [] }] }] } }],
    ["deep in a recursive union", { sum: { left: { value: 1 }, right: { left: { value: 1 }, right: {} } } }],
    ["an optional class", { money: { cents: "1" } }],
    ["a multiple", { even: 3 }],
    ["a pattern", { big: "1.5" }],
    ["a union", { one: false }],
    ["a null that is none", { big: null }],
    ["an odd name", { "a name/with ~ and 'quotes'": "other" }],
    ["a missing property", { tree: undefined }]
  ]
  const checks = (["openapi", "asyncapi"] as const).map((kind) =>
    validators(kind, [hard])("schemas/hard.Hard.all.payload")
  )
  it.each(wrong)("refuse what it refuses: %s", (_, part) => {
    const value = JSON.parse(JSON.stringify({ ...example, ...part })) as object
    assert.isTrue(decodes(example))
    assert.isFalse(decodes(value))
    for (const check of checks) {
      check(example)
      assert.throws(() => check(value), /hard\.Hard\.all\.payload/)
    }
  })

  it("tell typed errors apart, from each other and from other problems", () => {
    const { paths } = OpenApi.make([Orders]) as unknown as { readonly paths: { readonly [path: string]: Posted } }
    const ajv = new Ajv2020({ strict: false })
    formats.default(ajv)
    ajv.addSchema(OpenApi.make([Orders]), "openapi")
    const { post } = paths["/v1/orders/Order/{key}/place"] as Posted
    const { schema: refused } = post.responses["422"].content["application/problem+json"]
    const { discriminator, ...schema } = refused as { readonly oneOf: unknown; readonly discriminator: object }
    const problem = (tag: string, error: object) => ({
      type: OpenApi.errorType("orders.Order.place", tag),
      title: tag,
      status: 422,
      error
    })
    const is = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object)
    assert.property(discriminator, "mapping")
    assert.isTrue(is(problem("OutOfStock", { _tag: "OutOfStock", sku: "tea" })))
    assert.isTrue(is({ type: OpenApi.problemType("TRP0206"), title: "", status: 422, code: "TRP0206" }))
    assert.isFalse(is(problem("OutOfStock", { _tag: "AlreadyPlaced" })))
    assert.isFalse(is({ ...problem("AlreadyPlaced", { _tag: "AlreadyPlaced" }), type: "about:blank" }))
    assert.isFalse(is(problem("SoldOut", { _tag: "SoldOut" })))
    assert.isFalse(is({ type: OpenApi.problemType("TRP0201"), title: "", status: 422, code: "TRP0201" }))
  })
})

interface Secured {
  readonly responses: object
  readonly security?: unknown
}
interface Documented {
  readonly components: {
    readonly messages: { readonly [name: string]: { readonly examples: ReadonlyArray<{ readonly payload: unknown }> } }
  }
}
interface Posted {
  readonly post: {
    readonly parameters: ReadonlyArray<{ readonly example: unknown }>
    readonly requestBody: { readonly content: { readonly "application/json": { readonly example?: unknown } } }
    readonly responses: {
      readonly "422": { readonly content: { readonly "application/problem+json": { readonly schema: object } } }
    }
  }
}
