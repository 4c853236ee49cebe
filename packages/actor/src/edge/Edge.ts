import { Reason, Text } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AnyActor, EdgeOptions } from "../Actor.ts"
import type { Refused } from "../Handler.ts"
import * as Body from "./Body.ts"
import * as Protocol from "./Protocol.ts"
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
  const time = request.headers.get(Signature.headers.time) ?? ""
  const id = request.headers.get(Signature.headers.id) ?? ""
  const signature = request.headers.get(Signature.headers.signature) ?? ""
  const off = Math.abs(Effect.runSync(Clock.currentTimeMillis) - Number(time))
  if (time === "" || id === "" || Number.isNaN(off)) return refused(401, "it is not signed")
  if (off > Signature.window) return refused(401, `its time is ${Math.round(off / 1_000)} s off: compare the clocks`)
  let secrets: ReadonlyArray<string>
  try {
    secrets = typeof given === "function" ? given() : given
  } catch (error) {
    return refused(500, Reason.text(error))
  }
  const body = await Body.read(request.body, Protocol.limit)
  if (body === undefined) return refused(413, `it has more than ${Protocol.limit} bytes`)
  const secret = await Signature.signer(secrets, signature, Signature.ofCall(new URL(request.url), time, id), body)
  if (secret === undefined) return refused(401, "no secret here signed it, or not for this path")

  const text = Body.text(body)
  const read = text === undefined ? undefined : Protocol.call.decode(text)
  if (read?.ok !== true) return refused(400, `it is no call: ${read?.why ?? "it is not UTF-8"}`)
  const call = read.value as Protocol.Call
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
  if (bytes.length > Protocol.limit) bytes = tooLarge
  const signed = await Signature.sign(secret, Signature.ofAnswer(signature), bytes)
  return new Response(bytes, {
    headers: { "content-type": "application/json", [Signature.headers.signature]: signed }
  })
}

const tooLarge = new TextEncoder().encode(JSON.stringify({ tooLarge: true } satisfies Protocol.TooLarge))
const refused = (status: number, why: string): Response => new Response(Text.lines(why), { status })
