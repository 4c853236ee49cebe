import type { AnyContract } from "../Contract.ts"
import { maxBytes } from "../Key.ts"
import * as Catalog from "./Catalog.ts"
import * as CloudEvent from "./CloudEvent.ts"
import { reference } from "./Component.ts"
import * as Http from "./Http.ts"
import type { JsonSchema } from "./JsonSchema.ts"
import * as Problem from "./Problem.ts"

export { errorName, errorType, problemType } from "./Problem.ts"

/** What a gateway adds to its contracts. */
export interface Options {
  /** Where it is reached: absolute, or a path of the server that the document comes from. Default: `/`. */
  readonly url?: string
  /** `none`: requests need no token. Default: a JWT that permits each command. */
  readonly auth?: "jwt" | "none"
}

/**
 * The HTTP interface of these contracts as an OpenAPI 3.1.1 document. The same contracts give the same document, whatever
 * their order. Throws a `TypeError` for two contracts of one service, and what a schema throws that has no JSON form.
 */
export const make = (contracts: ReadonlyArray<AnyContract>, { auth = "jwt", url = "/" }: Options = {}): JsonSchema => {
  const catalog = Catalog.make(contracts)
  const needing = (operation: Operation, ...scopes: ReadonlyArray<string>): Operation => {
    if (auth === "jwt") return { ...operation, security: [{ bearer: scopes }] }
    const { "401": _, ...responses } = operation.responses
    return { ...operation, responses }
  }
  return {
    openapi: "3.1.1",
    info: {
      title: Catalog.title(catalog),
      version: Catalog.version(catalog),
      description:
        "Commands of services over HTTP, and their events as server-sent events. A command goes to one actor, by its key; an actor handles its commands one at a time."
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    servers: [{ url }],
    tags: catalog.services.flatMap(({ actors, name }) => [
      ...(actors.length === 0 ? [] : [{ name, description: `What the service ${name} takes and says as a whole.` }]),
      ...actors.map(({ id }) => ({ name: id, description: `Commands to one ${id}.` }))
    ]),
    paths: Object.fromEntries(
      catalog.services.flatMap((service) => [
        ...service.actors.flatMap((actor) =>
          actor.commands.map((command) => [
            `/v1/${service.name}/${actor.name}/{key}/${command.name}`,
            { post: needing(post(actor, command), `send:${command.id}`) }
          ])
        ),
        ...(commands(service).length === 0 ? [] : [[`/v1/${service.name}`, { post: needing(cloudEvents(service)) }]]),
        ...(events(service).length === 0
          ? []
          : [[`/v1/${service.name}/events`, { get: needing(listen(service), `hear:${service.name}`) }]])
      ])
    ),
    components: {
      schemas: { ...schemas(catalog), ...catalog.shared },
      parameters: Http.parameters,
      headers: Http.headers,
      responses: Http.responses,
      ...(auth === "none" ? {} : { securitySchemes: { bearer } })
    }
  }
}

interface Operation extends JsonSchema {
  readonly responses: JsonSchema
}

const bearer: JsonSchema = {
  type: "http",
  scheme: "bearer",
  bearerFormat: "JWT",
  description:
    "Scopes are in the claim `scope`, parted by spaces: `send:orders.Order.place`, or `send:orders.Order.*` for all commands of an actor, `send:orders.*` for all of a service, `hear:orders` for its events; `send:*` and `hear:*` for all. `sub` is who idempotency keys belong to."
}

const commands = ({ actors }: Catalog.Service): ReadonlyArray<Catalog.Command> =>
  actors.flatMap(({ commands }) => commands)
const events = ({ actors }: Catalog.Service): ReadonlyArray<Catalog.Event> => actors.flatMap(({ events }) => events)
const parameter = (name: keyof typeof Http.parameters): JsonSchema => ({ $ref: `#/components/parameters/${name}` })
const exampled = (example: unknown): JsonSchema => (example === undefined ? {} : { example })

const post = (actor: Catalog.Actor, command: Catalog.Command): Operation => ({
  operationId: command.id,
  summary: `${command.name} one ${actor.name}`,
  tags: [actor.id],
  parameters: [
    { name: "key", in: "path", required: true, ...key(actor) },
    parameter("IdempotencyKey"),
    parameter("Prefer"),
    parameter("Traceparent")
  ],
  requestBody: {
    description: "The payload. An empty body stands for `{}`.",
    required: CloudEvent.isNeeded(command.payload.schema),
    content: {
      "application/json": { schema: { $ref: reference(`${command.id}.payload`) }, ...exampled(command.payload.example) }
    }
  },
  responses: {
    ...answer(command),
    ...refused,
    "422": {
      description: "It was refused: nothing was changed.",
      headers: Http.answered,
      content: { "application/problem+json": { schema: Problem.refusals(command), ...examples(command) } }
    }
  }
})

/** A key is one token of a subject: not empty, and at most 200 bytes once it is encoded. */
const key = ({ key: { example, schema } }: Catalog.Actor): JsonSchema => ({
  description: "The key of the actor, percent-encoded.",
  schema: {
    ...schema,
    minLength: Math.max(1, Number(schema["minLength"] ?? 1)),
    maxLength: Math.min(maxBytes, Number(schema["maxLength"] ?? maxBytes))
  },
  ...exampled(example)
})

const answer = ({ id, reply }: Catalog.Command): JsonSchema =>
  reply === undefined
    ? { "204": { description: "It is done.", headers: Http.done } }
    : {
        "200": {
          description: "The reply.",
          headers: Http.done,
          content: { "application/json": { schema: { $ref: reference(`${id}.reply`) }, ...exampled(reply.example) } }
        }
      }

const refused = Http.byStatus(
  "Accepted",
  "BadRequest",
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "Conflict",
  "TooLarge",
  "UnsupportedMediaType",
  "TooManyRequests",
  "Unavailable",
  "TimedOut",
  "Problem"
)

const examples = (command: Catalog.Command): JsonSchema => {
  const found = command.errors.flatMap((error) => {
    const value = Problem.example(command, error)
    return value === undefined ? [] : [[String(value["title"]), { value }] as const]
  })
  return found.length === 0 ? {} : { examples: Object.fromEntries(found) }
}

const cloudEvents = (service: Catalog.Service): Operation => ({
  operationId: `${service.name}.cloudevents`,
  summary: `A command as a CloudEvent`,
  description: "CloudEvents 1.0 over HTTP, structured or binary: the same answers as from the path of the command.",
  tags: [service.name],
  parameters: [...Http.attributes, parameter("Prefer"), parameter("Traceparent")],
  requestBody: {
    required: true,
    content: {
      "application/cloudevents+json": { schema: { $ref: reference(`${service.name}.cloudevents.command`) } },
      "application/json": {
        schema: { anyOf: commands(service).map(({ id }) => ({ $ref: reference(`${id}.payload`) })) }
      }
    }
  },
  responses: {
    "200": {
      description: "The reply, as the command declares it.",
      headers: { ...Http.done, ...Http.replied },
      content: { "application/json": { schema: {} } }
    },
    "204": { description: "It is done.", headers: { ...Http.done, ...Http.replied } },
    ...refused,
    "422": {
      description: "It was refused: nothing was changed.",
      headers: Http.answered,
      content: { "application/problem+json": { schema: { $ref: reference(Problem.problemName) } } }
    }
  }
})

const listen = (service: Catalog.Service): Operation => {
  const actors = service.actors.filter(({ events }) => events.length > 0)
  const examples = actors.flatMap(({ events, key }) =>
    events.flatMap((event) =>
      key.example === undefined || event.versions.at(-1)?.example === undefined
        ? []
        : [`id: 42\nevent: ${event.id}\ndata: ${JSON.stringify(CloudEvent.example(event, key.example))}\n\n`]
    )
  )
  return {
    operationId: `${service.name}.events`,
    summary: `Events of ${service.name}, as they are said`,
    description:
      "Server-sent events. `event` is the type, `data` a CloudEvent in JSON, `id` the place to go on from after a break. A comment comes every 15 seconds when there is nothing else.",
    tags: [service.name],
    parameters: [
      listed("actor", "Events of these actors only.", { enum: actors.map(({ name }) => name) }),
      listed("key", "Events of these keys only.", { minLength: 1, maxLength: maxBytes }),
      listed("event", "These events only.", {
        enum: [...new Set(events(service).map(({ name }) => name))].sort()
      }),
      parameter("From"),
      parameter("LastEventId")
    ],
    responses: {
      "200": {
        description: "The stream. It does not end by itself.",
        content: {
          "text/event-stream": {
            schema: { type: "string" },
            "x-data": { $ref: reference(`${service.name}.cloudevents.event`) },
            ...exampled(examples[0])
          }
        }
      },
      ...Http.byStatus(
        "BadRequest",
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "Gone",
        "TooManyRequests",
        "Unavailable",
        "Problem"
      )
    }
  }
}

const listed = (name: string, description: string, items: JsonSchema): JsonSchema => ({
  name,
  in: "query",
  description,
  schema: { type: "array", maxItems: 100, items: { type: "string", ...items } }
})

const schemas = ({ services }: Catalog.Catalog): JsonSchema =>
  Object.fromEntries([
    [Problem.problemName, Problem.problem],
    [Problem.anotherName, Problem.another],
    ["Sent", Http.sent],
    ...services.flatMap((service) => [
      ...commands(service).flatMap((command) => [
        [`${command.id}.payload`, command.payload.schema],
        [`${command.id}.command`, CloudEvent.ofCommand(command)],
        ...(command.reply === undefined ? [] : [[`${command.id}.reply`, command.reply.schema]]),
        ...command.errors.map((error) => [Problem.errorName(command.id, error.tag), Problem.typed(command, error)])
      ]),
      ...events(service).flatMap((event) => [
        [`${event.id}.v${event.versions.length}`, event.versions.at(-1)?.schema],
        [`${event.id}.event`, CloudEvent.ofEvent(event)]
      ]),
      ...choice(`${service.name}.cloudevents.command`, commands(service), "command"),
      ...choice(`${service.name}.cloudevents.event`, events(service), "event")
    ])
  ])

/** One of several CloudEvents: their `type` says which. */
const choice = (
  name: string,
  all: ReadonlyArray<{ readonly id: string }>,
  kind: "command" | "event"
): ReadonlyArray<[string, JsonSchema]> => {
  if (all.length === 0) return []
  const refs = all.map(({ id }) => [id, reference(`${id}.${kind}`)] as const)
  return [
    [
      name,
      {
        oneOf: refs.map(([, $ref]) => ({ $ref })),
        discriminator: { propertyName: "type", mapping: Object.fromEntries(refs) }
      }
    ]
  ]
}
