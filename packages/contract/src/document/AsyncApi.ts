import type { AnyContract } from "../Contract.ts"
import { encode } from "../Key.ts"
import * as Subject from "../Subject.ts"
import * as Catalog from "./Catalog.ts"
import { reference } from "./Component.ts"
import * as Draft07 from "./Draft07.ts"
import type { JsonSchema } from "./JsonSchema.ts"
import * as Headers from "./MessageHeaders.ts"

/** Where the services are. */
export interface Options {
  /** Of the NATS server. What it says of users is left out. Default: `nats://127.0.0.1:4222`. */
  readonly url?: string
}

/**
 * What the services of these contracts take and say over NATS, as an AsyncAPI 3.0.0 document. The application that it
 * describes is the services: they receive commands and send events. Schemas are JSON Schema, draft 07. The same contracts
 * give the same document, whatever their order. Throws a `TypeError` for two contracts of one service and for a URL that
 * is none, and what a schema throws that has no JSON form.
 */
export const make = (
  contracts: ReadonlyArray<AnyContract>,
  { url = "nats://127.0.0.1:4222" }: Options = {}
): JsonSchema => {
  const catalog = Catalog.make(contracts)
  const { host, protocol } = new URL(url)
  const parts = catalog.services.flatMap((service) =>
    service.actors.flatMap((actor) => [
      ...actor.commands.map((command) => taken(service, actor, command)),
      ...actor.events.map((event) => said(service, actor, event))
    ])
  )
  return {
    asyncapi: "3.0.0",
    info: {
      title: Catalog.title(catalog),
      version: Catalog.version(catalog),
      description:
        "Commands and events of services over NATS JetStream: CloudEvents 1.0 in binary mode. The key in a subject is percent-encoded, with upper-case hex, where a subject cannot have it."
    },
    defaultContentType: "application/json",
    servers: {
      nats: { host, protocol: protocol.slice(0, -1), description: "nats-server 2.11 or newer, with JetStream." }
    },
    channels: Object.fromEntries(parts.flatMap(({ channels }) => Object.entries(channels))),
    operations: Object.fromEntries(parts.flatMap(({ operations }) => Object.entries(operations))),
    components: {
      messages: Object.fromEntries([
        ...(parts.length === 0 ? [] : [["rejected", rejected] as const]),
        ...parts.flatMap(({ messages }) => Object.entries(messages))
      ]),
      schemas: Object.fromEntries(
        [...parts.map(({ schemas }) => schemas), catalog.shared]
          .flatMap((schemas) => Object.entries(schemas))
          .map(([name, schema]) => [name, Draft07.of(schema)])
      )
    }
  }
}

interface Part {
  readonly channels: JsonSchema
  readonly operations: JsonSchema
  readonly messages: JsonSchema
  readonly schemas: { readonly [name: string]: JsonSchema }
}

const taken = (service: Catalog.Service, actor: Catalog.Actor, command: Catalog.Command): Part => {
  const { errors, id, name, payload, reply } = command
  // An event may be called as a command is.
  const to = `cmd.${id}`
  const answers = {
    reply: `${id}.reply`,
    ...(errors.length === 0 ? {} : { error: `${id}.error` }),
    rejected: "rejected"
  }
  return {
    channels: {
      [to]: channel("cmd", service, actor, name, { [name]: id }),
      [`${to}.answer`]: {
        address: null,
        description: "The inbox of whoever asks: one answer to each ask, by core NATS.",
        messages: refs(answers)
      }
    },
    operations: {
      [to]: {
        action: "receive",
        channel: { $ref: `#/channels/${to}` },
        summary: `${actor.name} handles the command ${name}.`,
        messages: [{ $ref: `#/channels/${to}/messages/${name}` }],
        bindings,
        reply: {
          address: { location: "$message.header#/Troupe-Reply-To", description: "Without it, nobody is answered." },
          channel: { $ref: `#/channels/${to}.answer` },
          messages: Object.keys(answers).map((answer) => ({ $ref: `#/channels/${to}.answer/messages/${answer}` }))
        }
      }
    },
    messages: {
      [id]: {
        ...message(`${id}.payload`, Headers.ofCommand(id, service.version), "ce-id"),
        summary: `The command ${name}, to one ${actor.name}.`,
        ...exampled(payload.example, { ...envelope(id), "Troupe-Contract": String(service.version) })
      },
      [`${id}.reply`]: {
        ...(reply === undefined ? nothing : { payload: { $ref: reference(`${id}.reply`) } }),
        name: `${id}.reply`,
        summary: `It is done${reply === undefined ? "" : ", and answers"}.`,
        headers: Headers.ofAnswer("reply", id),
        correlationId: { location: "$message.header#/Troupe-Causation-Id" },
        ...exampled(reply === undefined ? "" : reply.example, answered(id, "reply"))
      },
      ...(errors.length === 0
        ? {}
        : {
            [`${id}.error`]: {
              ...message(`${id}.error`, Headers.ofAnswer("error", id), "Troupe-Causation-Id"),
              summary: "It is refused: nothing was changed.",
              ...exampled(errors[0]?.example, answered(id, "error"))
            }
          })
    },
    schemas: {
      [`${id}.payload`]: payload.schema,
      ...(reply === undefined ? {} : { [`${id}.reply`]: reply.schema }),
      ...(errors.length === 0 ? {} : { [`${id}.error`]: { anyOf: errors.map(({ schema }) => schema) } })
    }
  }
}

const said = (service: Catalog.Service, actor: Catalog.Actor, { id, name, versions }: Catalog.Event): Part => {
  const all = versions.map((shape, i) => ({ ...shape, version: i + 1, key: `v${i + 1}`, id: `${id}.v${i + 1}` }))
  return {
    channels: {
      [`evt.${id}`]: channel("evt", service, actor, name, Object.fromEntries(all.map(({ id, key }) => [key, id])))
    },
    operations: {
      [`evt.${id}`]: {
        action: "send",
        channel: { $ref: `#/channels/evt.${id}` },
        summary: `${actor.name} says the event ${name}.`,
        messages: all.map(({ key }) => ({ $ref: `#/channels/evt.${id}/messages/${key}` })),
        bindings
      }
    },
    messages: Object.fromEntries(
      all.map(({ example, id: component, version }) => [
        component,
        {
          ...message(component, Headers.ofEvent(id, service.version, version), "Troupe-Correlation-Id"),
          summary:
            version === versions.length
              ? `Version ${version}: what is said now.`
              : `Version ${version}: said before, and kept in the stream.`,
          ...exampled(example, {
            ...envelope(id),
            "ce-dataversion": String(version),
            "Troupe-Contract": String(service.version)
          })
        }
      ])
    ),
    schemas: Object.fromEntries(all.map(({ id, schema }) => [id, schema]))
  }
}

const channel = (
  kind: Subject.Kind,
  service: Catalog.Service,
  actor: Catalog.Actor,
  name: string,
  messages: { readonly [name: string]: string }
): JsonSchema => {
  const { example } = actor.key
  const token = typeof example === "string" ? encode(example) : undefined
  return {
    address: Subject.published(kind, service.name, actor.name, name, "{key}"),
    description: `The stream ${Subject.stream(kind, service.name)} keeps it as ${kind}.${service.name}.<partition>.${actor.name}.${name}.<key>.`,
    parameters: {
      key: {
        description: "The key of the actor, percent-encoded: at most 200 bytes.",
        ...(token === undefined ? {} : { examples: [token] })
      }
    },
    messages: refs(messages)
  }
}

/** No queue group: who handles a message is not for NATS to say. */
const bindings = { nats: { bindingVersion: "0.1.0" } }

const refs = (messages: { readonly [name: string]: string }): JsonSchema =>
  Object.fromEntries(
    Object.entries(messages).map(([name, component]) => [name, { $ref: `#/components/messages/${component}` }])
  )

const message = (schema: string, headers: JsonSchema, correlation: string): JsonSchema => ({
  name: schema,
  headers,
  payload: { $ref: reference(schema) },
  correlationId: { location: `$message.header#/${correlation}` }
})

const nothing: JsonSchema = { contentType: "text/plain", payload: { type: "string", maxLength: 0 } }

const rejected: JsonSchema = {
  name: "rejected",
  summary: "It was not handled.",
  headers: Headers.ofAnswer("rejected"),
  correlationId: { location: "$message.header#/Troupe-Causation-Id" },
  payload: {
    type: "object",
    properties: {
      code: { type: "string", pattern: "^TRP[0-9]{4}$" },
      detail: { type: "string", description: "Why, for a person." }
    },
    required: ["code", "detail"]
  }
}

const id = "9f1c6c0e-5a3e-4b8e-9a63-0d1d1f3f5a01"
const envelope = (type: string): JsonSchema => ({
  "ce-specversion": "1.0",
  "ce-id": id,
  "ce-type": type,
  "ce-source": type.slice(0, type.indexOf("."))
})
const answered = (type: string, outcome: string): JsonSchema => ({
  ...envelope(type),
  "ce-id": "0b0d7a52-3a52-4a0e-8a3e-7d6c0f7f2b11",
  "Troupe-Causation-Id": id,
  "Troupe-Outcome": outcome
})
const exampled = (payload: unknown, headers: JsonSchema): JsonSchema =>
  payload === undefined ? {} : { examples: [{ headers, payload }] }
