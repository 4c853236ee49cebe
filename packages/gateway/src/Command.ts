import { Client, ClientError } from "@troupe/client"
import { Consistency, Envelope, JsonBounds, Message, Text } from "@troupe/contract"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Principal } from "./Auth.ts"
import { mediaType, read, unsupported } from "./body.ts"
import * as CloudEvent from "./CloudEvent.ts"
import type * as Id from "./Id.ts"
import type { Limits } from "./Limits.ts"
import * as permits from "./permits.ts"
import { idempotencyKey, preferences } from "./preferences.ts"
import * as Problem from "./Problem.ts"
import type { Command, Route } from "./Routes.ts"

/** What a request asks of an actor. */
interface Asked {
  readonly command: Command
  readonly key: string
  readonly payload: string
  /** What the caller calls it: its idempotency key, or source and id of the CloudEvent. */
  readonly name: ReadonlyArray<string> | undefined
  readonly isEvent: boolean
}

/** What a gateway sends commands with. */
export interface Sending {
  readonly commands: ReadonlyMap<string, Command>
  readonly limits: Limits
  readonly idOf: Id.OfRequest
}

type Requested = Extract<Route, { kind: "command" | "cloudevent" }>

/** Sends the command that a request names, and answers with its reply. */
export const answer = (
  request: Request,
  route: Requested,
  principal: Principal,
  { commands, idOf, limits }: Sending
): Effect.Effect<Response, Problem.Problem, Client> =>
  Effect.gen(function* () {
    const asked = yield* route.kind === "command"
      ? plain(request, route, principal, commands, limits)
      : event(request, route.service, principal, commands, limits)
    const { command, key } = asked
    if (!command.isKey(key)) return yield* Effect.fail(badKey)
    const payload = command.target.payload.decode(asked.payload === "" ? "{}" : asked.payload)
    if (!payload.ok) return yield* Effect.fail({ status: 400, code: "TRP0201", why: payload.why } as const)
    const message = new Message(command.type, key, payload.value, command.target)
    const { name } = asked
    const id =
      name === undefined
        ? SecureRandom.uuidV7Unsafe()
        : yield* Effect.promise(() => idOf({ principal: principal.name, type: command.type, key, name }))
    const { applied, async, wait } = preferences(request.headers.get("prefer"), limits.maxWait)
    const headers = {
      "troupe-message-id": id,
      ...(applied === undefined ? {} : { "preference-applied": applied })
    }
    const client = yield* Client
    const done = async
      ? Effect.as(client.send(message, { id }), Response.json({ id }, { status: 202, headers }))
      : Effect.map(client.askWithToken(message, { id, timeout: Duration.seconds(wait) }), ({ reply, token }) =>
          replied(asked, reply, {
            ...headers,
            // A host of older code says none.
            ...(token === "" ? {} : { [Consistency.header]: token }),
            ...(asked.isEvent ? CloudEvent.replyHeaders(command.type, key, id) : {})
          })
        )
    return yield* done.pipe(
      Effect.catch((error: unknown) => Effect.succeed(failed(command, error, id))),
      traced(request.headers)
    )
  })

const badKey: Problem.Problem = { status: 400, code: "TRP0204", why: "" }

/** A command by its path: the body is its payload. */
const plain = Effect.fnUntraced(function* (
  request: Request,
  { key, type }: Extract<Requested, { kind: "command" }>,
  principal: Principal,
  commands: ReadonlyMap<string, Command>,
  limits: Limits
): Effect.fn.Return<Asked, Problem.Problem> {
  const command = yield* permitted(type, principal, commands)
  if (key === undefined) return yield* Effect.fail(badKey)
  const own = idempotencyKey(request.headers.get("idempotency-key"))
  if (typeof own === "object") return yield* Effect.fail(own)
  const payload = yield* json(request, limits)
  return { command, key, payload, name: own === undefined ? undefined : [own], isEvent: false }
})

/** A command as a CloudEvent. */
const event = Effect.fnUntraced(function* (
  request: Request,
  service: string,
  principal: Principal,
  commands: ReadonlyMap<string, Command>,
  limits: Limits
): Effect.fn.Return<Asked, Problem.Problem> {
  const isStructured = mediaType(request.headers) === "application/cloudevents+json"
  const found = isStructured
    ? CloudEvent.structured(yield* text(request, limits))
    : CloudEvent.binary(request.headers, yield* json(request, limits))
  if (Problem.isProblem(found)) return yield* Effect.fail(found)
  if (!found.type.startsWith(`${service}.`)) return yield* Effect.fail(nothing)
  const command = yield* permitted(found.type, principal, commands)
  return { command, key: found.subject, payload: found.data, name: [found.source, found.id], isEvent: true }
})

const nothing: Problem.Problem = { status: 404, code: "TRP0701", why: "" }

const permitted = (
  type: string,
  principal: Principal,
  commands: ReadonlyMap<string, Command>
): Effect.Effect<Command, Problem.Problem> => {
  const command = commands.get(type)
  if (command === undefined) return Effect.fail(nothing)
  return permits.sending(principal, type) ? Effect.succeed(command) : Effect.fail(permits.refused(`send:${type}`))
}

const text = Effect.fnUntraced(function* (request: Request, limits: Limits): Effect.fn.Return<string, Problem.Problem> {
  const unread = unsupported(request.headers)
  if (unread !== undefined) return yield* Effect.fail(unread)
  const body = yield* read(request, limits.body)
  const exceeded = JsonBounds.exceeded(body)
  if (exceeded === undefined) return body
  const problem = exceeded.bound === "values" ? tooMany : tooDeep
  return yield* Effect.fail({ ...problem, why: exceeded.why })
})
const tooMany = { status: 413, code: "TRP0705" } as const
const tooDeep = { status: 400, code: "TRP0704" } as const

/** A body of JSON, or none. */
const json = Effect.fnUntraced(function* (request: Request, limits: Limits): Effect.fn.Return<string, Problem.Problem> {
  const type = mediaType(request.headers)
  const taken = type === "application/json" || type === ""
  const body = taken ? yield* text(request, limits) : ""
  if (!taken || (type === "" && body !== ""))
    return yield* Effect.fail({
      status: 415,
      code: "TRP0703",
      why: type === "" ? "it has no Content-Type" : `it is ${type.slice(0, 100)}`
    } as const)
  return body
})

const replied = ({ command: { target, type } }: Asked, reply: unknown, headers: Record<string, string>): Response => {
  const encoded = target.reply.encode(reply)
  if (!encoded.ok) return Problem.response({ status: 502, code: "TRP0208", why: type })
  return encoded.text === ""
    ? new Response(null, { status: 204, headers })
    : new Response(Text.visible(encoded.text), {
        status: 200,
        headers: { "content-type": "application/json", ...headers }
      })
}

const failed = ({ target, type }: Command, error: unknown, id: string): Response => {
  const at = (response: Response) => {
    response.headers.set("troupe-message-id", id)
    return response
  }
  if (error instanceof ClientError) return at(Problem.response(Problem.ofClientError(error), id))
  const encoded = target.error.encode(error)
  return at(
    encoded.ok
      ? Problem.ofError(type, error as { readonly _tag: string; readonly message: string }, encoded.text, id)
      : Problem.response({ status: 502, code: "TRP0208", why: type }, id)
  )
}

/** The trace of the request goes on in the message. */
const traced = (headers: Headers) => {
  const span = Envelope.readTraceparent(headers.get("traceparent") ?? undefined)
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    span === undefined ? effect : (Effect.withParentSpan(effect, Tracer.externalSpan(span)) as Effect.Effect<A, E, R>)
}
