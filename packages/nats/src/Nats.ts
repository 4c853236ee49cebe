import {
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager
} from "@nats-io/jetstream"
import { credsAuthenticator, deadline, errors, type NatsConnection, type TlsOptions } from "@nats-io/nats-core"
import { Account, Codes, Reason } from "@troupe/contract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Acks } from "./Acks.ts"
import * as Creds from "./Creds.ts"
import * as Refusals from "./Refusals.ts"
import * as Tcp from "./Tcp.ts"

/** NATS cannot be used at all: unreachable, too old, without JetStream, or with a stream that is not ours. Its message is for a person. */
export class NatsError extends Schema.TaggedError<NatsError>()("NatsError", {
  code: Schema.String,
  message: Schema.String,
  /** The server is away, or not ready yet: the same may do later. */
  passes: Schema.optionalKey(Schema.Boolean)
}) {}

/** A `NatsError` of the table. `cause`: what the client threw, by which it is known whether it passes. */
export const failure = (code: Codes.Code, to: string, why: string, cause?: unknown): NatsError =>
  new NatsError({ code, message: Codes.text(code, to, why), passes: cause !== undefined && passes(cause) })

/** What JetStream refused (TRP0404), or did not answer (TRP0429), by what the client threw. */
export const refused = (to: string, cause: unknown): NatsError =>
  failure(passes(cause) ? "TRP0429" : "TRP0404", to, describe(cause), cause)

/** JetStream of a cluster whose leader is not known yet. */
const leaderless = new Set([10_004, 10_006, 10_008, 10_009])

/** Whether an error says that the server, or its leader, is away, and nothing of what was asked. */
const passes = (cause: unknown): boolean => {
  if (cause instanceof JetStreamApiError) return leaderless.has(cause.code)
  const { ClosedConnectionError, ConnectionError, NoRespondersError, RequestError, TimeoutError } = errors
  // Without a leader a cluster answers nothing, which the client calls "not enabled"; INFO has said that JetStream is on.
  if (cause instanceof Error && cause.name === "JetStreamNotEnabled") return true
  if (cause instanceof RequestError && cause.cause instanceof errors.PermissionViolationError) return false
  const away = [ClosedConnectionError, ConnectionError, NoRespondersError, RequestError, TimeoutError]
  if (away.some((kind) => cause instanceof kind)) return true
  return (
    cause instanceof Error &&
    "code" in cause &&
    /^E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_AGAIN)/.test(String(cause.code))
  )
}

/** What the server can do. A test may lower it. */
export interface Capabilities {
  readonly version: string
  /** nats-server >= 2.12: all messages of a batch, or none. */
  readonly atomicBatch: boolean
  /** nats-server >= 2.14: a flow-controlled stream of publishes. */
  readonly fastIngest: boolean
  /** Bytes, headers included. */
  readonly maxPayload: number
}

/** The oldest nats-server that Troupe runs on: `subject_transform` with `partition()`, ordered pull consumers, filters in the consumer's subject. */
export const minimumVersion = "2.11.0"

/** What a server's INFO says of it, or less; fails below the minimum version and without JetStream. */
export const capabilities = (
  info: { readonly version: string; readonly max_payload: number; readonly jetstream?: boolean },
  where: string,
  lowered: Partial<Capabilities> = {}
): Effect.Effect<Capabilities, NatsError> => {
  if (!atLeast(info.version, minimumVersion)) return failure("TRP0402", where, `it is version ${info.version}`)
  if (info.jetstream !== true) {
    const message = Codes.text("TRP0405", where, "its INFO says jetstream: false")
    return Effect.fail(new NatsError({ code: "TRP0405", message, passes: true }))
  }
  return Effect.succeed({
    version: info.version,
    atomicBatch: atLeast(info.version, "2.12.0"),
    fastIngest: atLeast(info.version, "2.14.0"),
    maxPayload: info.max_payload,
    ...lowered
  })
}

const atLeast = (version: string, minimum: string): boolean => {
  const parts = (v: string) => v.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0)
  const wanted = parts(minimum)
  for (const [i, part] of parts(version).slice(0, 3).entries()) if (part !== wanted[i]) return part > (wanted[i] ?? 0)
  return true
}

/** Where NATS is, and who asks. */
export interface Options {
  readonly url: Redacted.Redacted
  /** Shown in the server's connection list. */
  readonly name?: string
  /** Begins the subjects where answers arrive: `_INBOX` (the default), or `_INBOX.` and one token for a user who may hear no other. */
  readonly inboxPrefix?: string
  /**
   * A creds file. It is read anew each time that the connection is made: what renews it replaces the file, and a server that
   * ends a connection whose user has expired, or was revoked, meets the new one.
   */
  readonly creds?: string | undefined
  /** Lowers what the server says of itself: for tests. */
  readonly capabilities?: Partial<Capabilities>
}

/** JetStream, as a user of one account reaches it. */
export interface Api {
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
}

/** A connection to NATS that reconnects for ever, with JetStream. */
export class Nats extends Context.Service<
  Nats,
  {
    readonly connection: NatsConnection
    /** Of the own account. */
    readonly js: JetStreamClient
    readonly jsm: JetStreamManager
    /** Of the account whose stream it is: `EVT_orders`. For all that may be another service's. */
    readonly api: (stream: string) => Promise<Api>
    readonly capabilities: Capabilities
    /** What streams answer to publishes. */
    readonly acks: Acks
  }
>()("@troupe/nats/Nats") {
  /** Connects (10 s at most) and checks the server; what was published is flushed when the layer ends (2 s at most). */
  static readonly layer = (options: Options): Layer.Layer<Nats, NatsError> =>
    Layer.effect(
      Nats,
      Effect.gen(function* () {
        const where = redactedUrl(options.url)
        const { inboxPrefix = "_INBOX" } = options
        const creds = yield* credsOf(options.creds)
        const connection = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () =>
              Tcp.connect({
                ...credentials(Redacted.value(options.url)),
                ...(creds === undefined ? {} : { authenticator: credsAuthenticator(creds.read) }),
                name: options.name ?? "troupe",
                inboxPrefix,
                maxReconnectAttempts: -1,
                // Credentials may be renewed; a password in the url stays wrong, and the process has to be started anew.
                ignoreAuthErrorAbort: creds !== undefined,
                timeout: 10_000,
                // A stack trace per request costs more than the request.
                noAsyncTraces: true,
                // A server that does not answer is given up after 4 to 6 s.
                pingInterval: 2_000,
                maxPingOut: 2
              }),
            catch: (cause) => notConnected(cause, where, creds)
          }),
          (connection) =>
            Effect.promise(async () => {
              await deadline(connection.flush(), 2_000).catch(() => {})
              await connection.close().catch(() => {})
            })
        )
        const info = connection.info
        if (info === undefined) return yield* failure("TRP0401", where, "it sent no INFO")
        const said = yield* capabilities(info, where, options.capabilities)
        const { maxPayload } = said
        const found: Capabilities = {
          ...said,
          // A server that was started anew, or another one, may take more or less.
          get maxPayload() {
            return options.capabilities?.maxPayload ?? connection.info?.max_payload ?? maxPayload
          }
        }
        yield* Effect.forkScoped(tellRefusals(connection, where, creds))
        const jsm = yield* Effect.tryPromise({
          try: () => jetstreamManager(connection),
          catch: (cause) => failure("TRP0405", where, describe(cause), cause)
        })
        const js = jetstream(connection)
        return Nats.of({
          connection,
          js,
          jsm,
          api: apis(connection, { js, jsm }, creds?.user().account),
          capabilities: found,
          acks: new Acks(connection, inboxPrefix)
        })
      })
    )
}

const credsOf = (file: string | undefined): Effect.Effect<Creds.Creds | undefined, NatsError> =>
  Effect.try({
    try: () => (file === undefined ? undefined : Creds.open(file)),
    catch: (cause) => failure("TRP0412", file ?? "", describe(cause))
  })

const notConnected = (cause: unknown, where: string, creds: Creds.Creds | undefined): NatsError => {
  const refused = Refusals.ofUser(cause, creds?.user() ?? {}, Date.now())
  if (Refusals.isUntrusted(cause)) return failure("TRP0426", where, describe(cause))
  return refused === undefined ? failure("TRP0401", where, describe(cause), cause) : failure("TRP0412", where, refused)
}

const tellRefusals = (connection: NatsConnection, where: string, creds: Creds.Creds | undefined) =>
  Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const status = yield* Effect.acquireRelease(
      Effect.sync(() => connection.status()),
      (status) => Effect.sync(() => (status as unknown as { stop(): void }).stop())
    )
    yield* Effect.promise(() =>
      Refusals.follow(
        status,
        () => creds?.user() ?? {},
        (code, to, why) => void run(Effect.logError(failure(code, to ?? where, why).message))
      )
    )
  })

/** The JetStream of each service, as a user of this account reaches it. */
const apis = (connection: NatsConnection, own: Api, account: string | undefined): Nats["Service"]["api"] => {
  const known = new Map<string, Promise<Api>>()
  return (stream) => {
    const apiPrefix = Account.api(account, stream)
    if (apiPrefix === "$JS.API") return Promise.resolve(own)
    const api =
      known.get(apiPrefix) ??
      jetstreamManager(connection, { apiPrefix, checkAPI: false }).then((jsm) => ({
        js: jetstream(connection, { apiPrefix }),
        jsm
      }))
    known.set(apiPrefix, api)
    return api
  }
}

/**
 * NATS.js takes user and password by option, not in the url, and drops the scheme: that `tls://` demands TLS is an option
 * too. A server that offers TLS gets it with `nats://` as well. Throws at a url that is none, or that TCP cannot serve.
 */
export const credentials = (
  url: string
): { servers: Array<string>; user?: string; pass?: string; token?: string; tls?: TlsOptions } => {
  const servers: Array<string> = []
  const found: { user?: string; pass?: string; token?: string; tls?: TlsOptions } = {}
  for (const one of url.split(",").map((one) => one.trim())) {
    const parsed = new URL(one.includes("://") ? one : `nats://${one}`)
    if (/^wss?:$/.test(parsed.protocol)) throw new Error("a service needs nats:// or tls://, no websocket")
    servers.push(`${parsed.hostname}:${parsed.port || 4222}`)
    if (parsed.protocol === "tls:") found.tls = {}
    const user = decodeURIComponent(parsed.username)
    if (user !== "") {
      const pass = decodeURIComponent(parsed.password)
      Object.assign(found, pass === "" ? { token: user } : { user, pass })
    }
  }
  return { servers, ...found }
}

/** The url without user, password, token and options; where it has any, without all but the last of several servers. */
export const redactedUrl = (url: Redacted.Redacted): string =>
  // Up to the last "@": a password that nobody encoded may contain anything.
  Redacted.value(url)
    .replace(/^([a-z]+:\/\/)?.*@/s, "$1")
    .replace(/\?.*$/s, "")

/** What a library's error says, in one line. */
export const describe = (cause: unknown): string => Reason.text(cause)
