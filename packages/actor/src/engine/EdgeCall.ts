import { Codes, Reason } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type { AnyRemote } from "../Actor.ts"
import * as Body from "../edge/Body.ts"
import * as Protocol from "../edge/Protocol.ts"
import * as Signature from "../edge/Signature.ts"
import { Braked } from "./Brake.ts"
import { TooMuch } from "./TooMuch.ts"

/** The edge does not answer, or not as it should: no message is to blame, and the partition waits for it. */
export class EdgeAway extends Braked {}

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

/** Fails with `TooMuch` when the call, or its answer as the edge itself says, is larger than either end reads. */
export const call = (
  actor: AnyRemote,
  lines: ReadonlyArray<Protocol.Line>
): Effect.Effect<Protocol.Answer["lines"], EdgeAway | TooMuch> =>
  Effect.gen(function* () {
    const { name } = actor.ref
    const url = new URL(actor.edge.url!)
    const away = (why: string, code: "TRP0309" | "TRP0310" = "TRP0309") =>
      new EdgeAway(Codes.text(code, `${name} at ${url.origin}${url.pathname}`, why))
    const encoded = Protocol.call.encode({ actor: name, dialect: Protocol.dialect(actor), lines })
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
        return away(why.replaceAll(/[\s\p{C}]+/gu, " "), response.status === 409 ? "TRP0310" : "TRP0309")
      }
      if (said === undefined) return away(`its answer has more than ${Protocol.limit} bytes`)
      const given = response.headers.get(headers.signature) ?? ""
      const signed = await Signature.signer(secrets, given, Signature.ofAnswer(signature), said)
      if (signed === undefined) return away("its answer is not signed with our secret")
      const read = Protocol.answer.decode(Body.text(said) ?? "")
      if (!read.ok) return away(`its answer cannot be read: ${read.why}`)
      const answer = read.value as Protocol.Answer | Protocol.TooLarge
      if ("tooLarge" in answer) return new TooMuch()
      const fits = (line: Protocol.Line, i: number) => answer.lines[i]!.length <= line.turns.length
      if (answer.lines.length !== lines.length || !lines.every(fits) || answer.lines[0]?.length === 0)
        return away("it answers what it was not asked")
      return answer
    }
    const posted = Effect.tryPromise({ try: post, catch: (error) => away(Reason.chain(error)) })
    // A connection that was kept may be closed at the very moment at which it is used: a turn may run twice without harm.
    const answer = yield* Effect.timeoutOrElse(Effect.retry(posted, { times: 1 }), {
      duration: timeout,
      orElse: () => Effect.fail(away(`no answer within ${timeout}`))
    })
    return "lines" in answer ? answer.lines : yield* Effect.fail(answer)
  })
