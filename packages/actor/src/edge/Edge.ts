import { JsonBounds, Reason, Text } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AnyActor, EdgeOptions } from "../Actor.ts"
import type { Refused } from "../Handler.ts"
import * as Body from "./Body.ts"
import * as Protocol from "./Protocol.ts"
import { Room } from "./Room.ts"
import * as Signature from "./Signature.ts"
import * as Turns from "./Turns.ts"

/** What `deno serve`, Bun and workerd serve when a module exports it as its default. */
export interface Edge<Env = unknown> {
  readonly fetch: (request: Request, env?: Env) => Promise<Response>
}

/** What an edge needs to know. */
export interface Options<Env> {
  /** As its hosts have them. A function gets what the runtime hands to `fetch`: in workerd the environment. */
  readonly secrets: EdgeOptions["secrets"] | ((env: Env) => EdgeOptions["secrets"])
}

type Pure<Actors extends ReadonlyArray<AnyActor>> = {
  readonly [I in keyof Actors]: Actors[I] extends { readonly "~requires": infer R }
    ? [R] extends [never]
      ? unknown
      : Refused<"an actor that uses Db cannot run at the edge: its database is where its host is", R>
    : never
}

/**
 * Runs the turns of these actors for hosts that have them by `remote`. Keeps nothing between two requests: what a turn
 * stages goes back to its host, which checks it and commits it. Requests that none of the secrets signed, or that were
 * signed more than 5 minutes ago, are refused. A rejected promise that nobody waits for is logged, and does not end the
 * process. Throws a `TypeError` for secrets that are none, and for two actors of one name.
 */
export const serve = <const Actors extends ReadonlyArray<AnyActor>, Env = unknown>(
  actors: Actors & Pure<Actors>,
  options: Options<Env>
): Edge<Env> => {
  const runners = new Map(actors.map((actor) => [actor.ref.name, Turns.runner(actor)]))
  if (runners.size < actors.length) throw new TypeError("an edge has two actors of one name")
  survive()
  const { secrets } = options
  const fixed = typeof secrets === "function" ? undefined : Signature.secrets(secrets)
  const secretsOf = typeof secrets === "function" ? secrets : undefined
  return {
    fetch: (request, env) => answer(request, runners, fixed ?? (() => Signature.secrets(secretsOf!(env as Env))))
  }
}

/**
 * Node, Deno and Bun end when a promise is rejected that nobody waits for. The message whose handler left it would end the
 * next edge too, and its partition would wait for ever.
 */
const survive = (): void => {
  if (surviving) return
  surviving = true
  const { process } = globalThis as { readonly process?: { readonly on?: typeof globalThis.process.on } }
  process?.on?.("unhandledRejection", logRejection)
}
let surviving = false
const logRejection = (cause: unknown): void =>
  Effect.runSync(Effect.logError("a promise was rejected, and nobody waits for it", Reason.full(cause)))

const answer = async (
  request: Request,
  runners: ReadonlyMap<string, Turns.Runner>,
  given: ReadonlyArray<string> | (() => ReadonlyArray<string>)
): Promise<Response> => {
  if (request.method !== "POST") return refused(405, "a host posts here")
  const head = await signedHead(request, given)
  if (head instanceof Response) return head
  const body = await verified(request, head.body)
  if (body instanceof Response) return body
  const call = callOf(body)
  if (call instanceof Response) return call
  const runner = runners.get(call.actor)
  if (runner === undefined) return refused(409, `it has no ${call.actor}, but ${[...runners.keys()].join(", ")}`)
  const here = Protocol.dialect(runner.actor)
  if (call.dialect !== here) return refused(409, `it runs ${here}; the host ${call.dialect}`)
  // A host that waits no longer will ask again.
  const ran = await Effect.runPromiseExit(Turns.run(runner, call.lines), { signal: request.signal })
  if (Exit.isFailure(ran)) return refused(500, Reason.text(ran.cause))
  const encoded = Protocol.answer.encode({ lines: ran.value } satisfies Protocol.Answer)
  if (!encoded.ok) return refused(500, encoded.why)
  let bytes = new TextEncoder().encode(encoded.text)
  if (bytes.length > Protocol.limit || Protocol.isTooMuch(encoded.text, ran.value)) bytes = tooLarge
  const said = await Signature.describe(bytes)
  const signed = await Signature.sign(head.secret, Signature.ofAnswer(head.signature, said))
  return new Response(bytes, {
    headers: {
      "content-type": "application/json",
      ...Signature.describing(said),
      [Signature.headers.signature]: signed
    }
  })
}

/** What is known of a call before its body is read. */
interface Head {
  readonly body: Signature.Described
  readonly signature: string
  /** The one that signed it. */
  readonly secret: string
}

/** Verifies the head of a call, or says why it is refused. */
const signedHead = async (
  request: Request,
  given: ReadonlyArray<string> | (() => ReadonlyArray<string>)
): Promise<Head | Response> => {
  const time = request.headers.get(Signature.headers.time) ?? ""
  const id = request.headers.get(Signature.headers.id) ?? ""
  const signature = request.headers.get(Signature.headers.signature) ?? ""
  const off = Math.abs(Effect.runSync(Clock.currentTimeMillis) - Number(time))
  if (time === "" || id === "" || signature === "" || Number.isNaN(off)) return refused(401, "it is not signed")
  if (request.headers.get(Signature.headers.protocol) !== Signature.protocol)
    return refused(409, `it speaks protocol ${Signature.protocol} of edges; the host another one`)
  if (off > Signature.window) return refused(401, `its time is ${Math.round(off / 1_000)} s off: compare the clocks`)
  const body = Signature.described(request.headers)
  if (body === undefined) return refused(401, "its body is not described")
  let secrets: ReadonlyArray<string>
  try {
    secrets = typeof given === "function" ? given() : given
  } catch (error) {
    return refused(500, Reason.text(error))
  }
  const secret = await Signature.signer(secrets, signature, Signature.ofCall(new URL(request.url), time, id, body))
  if (secret === undefined) return refused(401, "no secret here signed it, or not for this host and path")
  return { body, signature, secret }
}

/** Memory for the bodies that are not verified yet, in this isolate: for two calls as large as they may be. */
const room = new Room(2 * Protocol.limit)

/** ms that a body may take. Its host waits no longer for the answer. */
const patience = 15_000

/** Reads the body that a signed head describes, or says why it is refused. */
const verified = async (
  request: Request,
  { hash, length }: Signature.Described
): Promise<Uint8Array<ArrayBuffer> | Response> => {
  if (length > Protocol.limit) return refused(413, `it has more than ${Protocol.limit} bytes`)
  const now = performance.now()
  const place = room.enter(length, now, now + patience)
  if (place === undefined) return refused(429, "it reads as many bodies as it has memory for")
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), patience)
  try {
    const body = await Body.read(request.body, length, late.signal)
    if (body !== undefined && (await Signature.describe(body)).hash === hash) return body
    return late.signal.aborted
      ? refused(408, `its body took longer than ${patience} ms`)
      : refused(401, "its body is not the one that was signed")
  } catch {
    return refused(400, "its body ended early")
  } finally {
    clearTimeout(timer)
    room.leave(place)
  }
}

/** Reads a call, or says why it is refused. */
const callOf = (body: Uint8Array): Protocol.Call | Response => {
  const text = Body.text(body)
  if (text === undefined) return refused(400, "it is no call: it is not UTF-8")
  const why = JsonBounds.exceeded(text, Protocol.bounds)?.why
  if (why !== undefined) return refused(413, why)
  const read = Protocol.call.decode(text)
  return read.ok ? (read.value as Protocol.Call) : refused(400, `it is no call: ${read.why}`)
}

const tooLarge = new TextEncoder().encode(JSON.stringify({ tooLarge: true } satisfies Protocol.TooLarge))
const refused = (status: number, why: string): Response => new Response(Text.lines(why), { status })
