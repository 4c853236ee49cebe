import { Codes, JsonBounds, Reason } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type { AnyRemote } from "../Actor.ts"
import * as Body from "../edge/Body.ts"
import * as Protocol from "../edge/Protocol.ts"
import * as Signature from "../edge/Signature.ts"
import { Away } from "./Brake.ts"
import { TooMuch } from "./TooMuch.ts"

/** The edge does not answer, or not as it should: no message is to blame, and the partition waits for it. */
export class EdgeAway extends Away {}

/** Of one call. Its turns may take 5 seconds, side by side; the way there and back takes time too. */
const timeout = "15 seconds"

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

/** Memory, in kB, for the answers that are not verified yet, in this process: for two as large as they may be. */
const room = Semaphore.makeUnsafe((2 * Protocol.limit) / 1024)

/** Why there is no answer. */
class Failed {
  readonly why: string
  readonly code: "TRP0309" | "TRP0310" | "TRP0322"
  /** The connection failed: another one may do. */
  readonly lost: boolean
  constructor(why: string, code: Failed["code"] = "TRP0309", lost = false) {
    this.why = why
    this.code = code
    this.lost = lost
  }
}

/** Fails with `TooMuch` when the call, or its answer as the edge itself says, is larger than either end reads. */
export const call = (
  actor: AnyRemote,
  lines: ReadonlyArray<Protocol.Line>
): Effect.Effect<Protocol.Answer["lines"], EdgeAway | TooMuch> =>
  Effect.gen(function* () {
    const encoded = Protocol.call.encode({ actor: actor.ref.name, dialect: Protocol.dialect(actor), lines })
    if (!encoded.ok) return yield* Effect.fail(new Failed(encoded.why))
    const body = new TextEncoder().encode(encoded.text)
    if (body.length > Protocol.limit) return yield* Effect.fail(new TooMuch())
    const url = new URL(actor.edge.url!)
    const secrets = Signature.secrets(actor.edge.secrets)
    const { request, signature } = yield* signed(url, secrets[0]!, body)
    const posted = Effect.acquireUseRelease(
      Effect.sync(() => new AbortController()),
      ({ signal }) =>
        Effect.flatMap(
          tried(() => fetch(url, { ...request, signal })),
          (response) => (response.status === 200 ? verified(response, secrets, signature) : refused(response))
        ),
      // Ends what was not read of an answer.
      (controller) => Effect.sync(() => controller.abort())
    )
    // A connection that was kept may be closed at the very moment at which it is used: a turn may run twice without harm.
    const said = yield* Effect.timeoutOrElse(Effect.retry(posted, { times: 1, while: ({ lost }) => lost }), {
      duration: timeout,
      orElse: () => Effect.fail(new Failed(`no answer within ${timeout}`))
    })
    return yield* decoded(said, lines)
  }).pipe(
    Effect.mapError((error) => {
      if (error instanceof TooMuch) return error
      const { origin, pathname } = new URL(actor.edge.url!)
      return new EdgeAway(Codes.text(error.code, `${actor.ref.name} at ${origin}${pathname}`, error.why))
    })
  )

const tried = <A>(run: () => Promise<A>): Effect.Effect<A, Failed> =>
  Effect.tryPromise({ try: run, catch: (error) => new Failed(Reason.chain(error), "TRP0309", true) })

/** A call with its signed head, ready to be sent. */
const signed = (url: URL, secret: string, body: Uint8Array<ArrayBuffer>) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    tried(async () => {
      const { headers } = Signature
      const time = String(now)
      const id = SecureRandom.uuidV4Unsafe()
      const described = await Signature.describe(body)
      const signature = await Signature.sign(secret, Signature.ofCall(url, time, id, described))
      const request = {
        method: "POST",
        body,
        redirect: "error",
        headers: {
          "content-type": "application/json",
          [headers.protocol]: Signature.protocol,
          [headers.time]: time,
          [headers.id]: id,
          ...Signature.describing(described),
          [headers.signature]: signature
        }
      } as const
      return { request, signature }
    })
  )

/** The body of an answer. None of it is read before its head is known to be signed. */
const verified = (
  response: Response,
  secrets: ReadonlyArray<string>,
  callSignature: string
): Effect.Effect<Uint8Array, Failed> =>
  Effect.gen(function* () {
    const described = Signature.described(response.headers)
    const signature = response.headers.get(Signature.headers.signature) ?? ""
    const by =
      described &&
      (yield* tried(() => Signature.signer(secrets, signature, Signature.ofAnswer(callSignature, described))))
    if (described === undefined || by === undefined)
      return yield* Effect.fail(new Failed("its answer is not signed with our secret"))
    const { hash, length } = described
    if (length > Protocol.limit)
      return yield* Effect.fail(new Failed(`its answer has more than ${Protocol.limit} bytes`))
    const said = yield* tried(async () => {
      const said = await Body.read(response.body, length)
      return said !== undefined && (await Signature.describe(said)).hash === hash ? said : undefined
    }).pipe(room.withPermits(Math.ceil(length / 1024)))
    return said ?? (yield* Effect.fail(new Failed("its answer is not the one that it signed")))
  })

/** What an edge of protocol 1 says to a host of protocol 2. */
const older = "no secret here signed it, or not for this path"
const codes: { readonly [status: number]: "TRP0310" | "TRP0322" } = { 409: "TRP0310", 429: "TRP0322" }

/** Of an answer that is none. Nobody signed its text. */
const refused = (response: Response): Effect.Effect<never, Failed> =>
  Effect.flatMap(
    tried(() => Body.first(response.body, 500)),
    (said) => {
      const text = new TextDecoder().decode(said)
      const why = `${response.status}: ${text}`.replaceAll(/[\s\p{C}]+/gu, " ")
      return Effect.fail(new Failed(why, text === older ? "TRP0310" : codes[response.status]))
    }
  )

const decoded = (
  said: Uint8Array,
  lines: ReadonlyArray<Protocol.Line>
): Effect.Effect<Protocol.Answer["lines"], Failed | TooMuch> => {
  const unread = (why: string) => Effect.fail(new Failed(`its answer cannot be read: ${why}`))
  const text = Body.text(said) ?? ""
  const exceeded = JsonBounds.exceeded(text, Protocol.bounds)
  if (exceeded !== undefined) return unread(exceeded.why)
  const read = Protocol.answer.decode(text)
  if (!read.ok) return unread(read.why)
  const answer = read.value as Protocol.Answer | Protocol.TooLarge
  if ("tooLarge" in answer) return Effect.fail(new TooMuch())
  const fits = (line: Protocol.Line, i: number) => answer.lines[i]!.length <= line.turns.length
  if (answer.lines.length !== lines.length || !lines.every(fits) || answer.lines[0]?.length === 0)
    return Effect.fail(new Failed("it answers what it was not asked"))
  if (Protocol.isTooMuch(text, answer.lines)) return unread("with its texts it has more JSON than an edge may answer")
  return Effect.succeed(answer.lines)
}
