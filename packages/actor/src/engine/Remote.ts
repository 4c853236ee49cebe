import { Codes } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type { AnyRemote } from "../Actor.ts"
import * as Body from "../edge/Body.ts"
import * as Protocol from "../edge/Protocol.ts"
import * as Signature from "../edge/Signature.ts"
import type { Failure, Take } from "./Attempt.ts"
import { Braked } from "./Brake.ts"
import type { Consumer } from "./Consumer.ts"
import type { Delivery } from "./Delivery.ts"
import * as Gather from "./Gather.ts"
import * as Returned from "./Returned.ts"
import { TooMuch } from "./TooMuch.ts"

/** The edge does not answer, or not as it should: no message is to blame, and the partition waits for it. */
export class EdgeAway extends Braked {}

/** Of one call. Its turns may take 5 seconds, side by side; the way there and back takes time too. */
const timeout = "15 seconds"
/** Characters that one call carries, but for a single turn that has more. */
const portion = 4 * 1024 ** 2

/** Why the edge of an actor cannot be called, as its options are. */
export const unfit = ({ edge: { secrets, url } }: AnyRemote): string | undefined => {
  if (url === undefined || url === "") return "no url is set"
  if (!URL.canParse(url)) return "its url cannot be read"
  const { hostname, password, protocol, username } = new URL(url)
  if (username !== "" || password !== "") return "its url has a user: it is the signature that lets a host in"
  const own = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  if (protocol !== "https:" && !(protocol === "http:" && own))
    return `its url begins with ${protocol}//${hostname}: use https:, or http: to this machine`
  try {
    Signature.secrets(secrets)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * Runs the turns of a batch at the edge. Those that are wanted at the same time go in one call, so that a batch takes as
 * many as its longest key has messages.
 */
export const make = (
  consumer: Consumer,
  actor: AnyRemote
): Effect.Effect<Take<EdgeAway | TooMuch>, never, Scope.Scope> => {
  const turns = (wanted: ReadonlyArray<Wanted>): Effect.Effect<ReadonlyArray<Result>> =>
    Effect.map(
      Effect.forEach(portions(wanted), (some) => answered(consumer, actor, some)),
      (results) => results.flat()
    )
  const run = (items: ReadonlyArray<Item>) =>
    Effect.map(turns(items.flatMap((item) => asked(consumer, item) ?? [])), (results) => {
      const of = new Map(results.map(({ exit, item }) => [item, exit]))
      return items.map((item) => of.get(item) ?? Exit.succeed(unreadable))
    })
  return Effect.map(Gather.make(run), (gathered) => (delivery, before) => gathered({ delivery, before }))
}

interface Item {
  readonly delivery: Delivery
  readonly before: unknown
}
interface Wanted {
  readonly item: Item
  readonly turn: Protocol.Turn
}
interface Result {
  readonly item: Item
  readonly exit: Exit.Exit<Returned.Result, EdgeAway | TooMuch>
}

/** None: its state cannot be written. */
const asked = (consumer: Consumer, item: Item): Wanted | undefined => {
  const { envelope, incoming, key, name, now } = item.delivery
  const state = consumer.state.encode(item.before)
  // It was UTF-8 when it was opened.
  const payload = Body.text(incoming.message.data) ?? ""
  return state.ok ? { item, turn: { id: envelope.id, key, now, command: name, payload, state: state.text } } : undefined
}
const unreadable: Failure = { code: "TRP0304", reason: "it was read, but cannot be written as it is declared" }

const portions = (wanted: ReadonlyArray<Wanted>): ReadonlyArray<ReadonlyArray<Wanted>> => {
  const out: Array<Array<Wanted>> = []
  let room = -1
  for (const one of wanted) {
    const size = one.turn.payload.length + one.turn.state.length + one.turn.key.length + 300
    if (size > room) {
      out.push([])
      room = portion
    }
    out.at(-1)!.push(one)
    room -= size
  }
  return out
}

const answered = (
  consumer: Consumer,
  actor: AnyRemote,
  wanted: ReadonlyArray<Wanted>
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.map(
    Effect.exit(
      call(
        actor,
        wanted.map(({ turn }) => turn)
      )
    ),
    (exit) => {
      if (Exit.isSuccess(exit))
        return wanted.map(({ item }, i) => ({ item, exit: Returned.read(consumer, actor, item, exit.value[i]!) }))
      const large = wanted.length === 1 && Cause.squash(exit.cause) instanceof TooMuch
      return wanted.map(({ item }) => ({ item, exit: large ? Exit.succeed(tooLarge) : Exit.failCause(exit.cause) }))
    }
  )
const tooLarge: Failure = { code: "TRP0303", reason: `with its state, or what it wants, over ${Protocol.limit} bytes` }

/** Fails with `TooMuch` when the call or its answer is larger than either end reads. */
const call = (
  actor: AnyRemote,
  turns: ReadonlyArray<Protocol.Turn>
): Effect.Effect<ReadonlyArray<Protocol.Outcome>, EdgeAway | TooMuch> =>
  Effect.gen(function* () {
    const { name } = actor.ref
    const url = new URL(actor.edge.url!)
    const away = (why: string, code: "TRP0309" | "TRP0310" = "TRP0309") =>
      new EdgeAway(Codes.text(code, `${name} at ${url.origin}${url.pathname}`, why))
    const encoded = Protocol.call.encode({ actor: name, dialect: Protocol.dialect(actor), turns })
    if (!encoded.ok) return yield* Effect.fail(away(encoded.why))
    const body = new TextEncoder().encode(encoded.text)
    if (body.length > Protocol.limit) return yield* Effect.fail(new TooMuch())
    const secrets = Signature.secrets(actor.edge.secrets)
    const time = String(yield* Clock.currentTimeMillis)
    const id = SecureRandom.uuidV4Unsafe()
    const post = async (signal: AbortSignal): Promise<Protocol.Answer | EdgeAway | TooMuch> => {
      const signature = await Signature.sign(secrets[0]!, Signature.ofCall(url, time, id), body)
      const { headers } = Signature
      const response = await fetch(url, {
        method: "POST",
        body,
        signal,
        redirect: "error",
        headers: {
          "content-type": "application/json",
          [headers.time]: time,
          [headers.id]: id,
          [headers.signature]: signature
        }
      })
      const said = await Body.read(response.body, Protocol.limit)
      if (response.status !== 200) {
        // Whoever says it, it is not signed.
        const why = `${response.status}: ${new TextDecoder().decode((said ?? new Uint8Array()).subarray(0, 500))}`
        return away(why.replaceAll(/\s+/g, " "), response.status === 409 ? "TRP0310" : "TRP0309")
      }
      if (said === undefined) return new TooMuch()
      const given = response.headers.get(headers.signature) ?? ""
      const signed = await Signature.signer(secrets, given, Signature.ofAnswer(signature), said)
      if (signed === undefined) return away("its answer is not signed with our secret")
      const read = Protocol.answer.decode(Body.text(said) ?? "")
      if (!read.ok) return away(`its answer cannot be read: ${read.why}`)
      const answer = read.value as Protocol.Answer
      return answer.outcomes.length === turns.length
        ? answer
        : away(`it answers ${answer.outcomes.length} of ${turns.length} turns`)
    }
    const posted = Effect.tryPromise({ try: post, catch: (error) => away(causeOf(error)) })
    // A connection that was kept may be closed at the very moment at which it is used: a turn may run twice without harm.
    const answer = yield* Effect.timeoutOrElse(Effect.retry(posted, { times: 1 }), {
      duration: timeout,
      orElse: () => Effect.fail(away(`no answer within ${timeout}`))
    })
    return "outcomes" in answer ? answer.outcomes : yield* Effect.fail(answer)
  })

/** `fetch` itself says no more than that it failed. */
const causeOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? causeOf(error.cause) : String(error)
