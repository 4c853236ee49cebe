import {
  AuthorizationError,
  type ConnectionOptions as NatsOptions,
  createInbox,
  credsAuthenticator,
  type Msg,
  PermissionViolationError,
  type PublishOptions,
  type Subscription,
  UserAuthenticationExpiredError
} from "@nats-io/nats-core"
import { Account, Envelope, ReadBudget, Reason as Text } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { ClientError, NotAllowed, NotAuthorized, NotConnected, type Reason, TimedOut } from "../ClientError.ts"
import { Merger } from "./Merger.ts"
import type { Signal, Signals } from "./signals.ts"
import type { Dialled } from "./webSocket.ts"

/** How a transport connects: TCP and WebSocket differ in nothing else. */
export type Dial = (options: NatsOptions) => Promise<Dialled>

export interface ConnectOptions {
  /** One address or several of one cluster: `nats://…` for TCP, `ws://…` or `wss://…` for WebSocket; `user:password@` may be in it. */
  readonly servers: string | ReadonlyArray<string>
  readonly token?: string
  readonly user?: string
  readonly pass?: string
  /**
   * The text of a creds file, or what answers it: asked anew each time that the connection is made, so that one that was
   * renewed is used. What throws, or answers none, leaves the last one in use.
   */
  readonly creds?: string | (() => string)
  /** What this program is called: `ce-source` of its messages, and its name in the server's lists. Default: `client`. */
  readonly name?: string
  /** How long the first connection may take; afterwards it is restored for ever. Default: 5 seconds. */
  readonly timeout?: Duration.Input
  /**
   * Begins the subjects where answers arrive: `_INBOX` or `_INBOX.` and one token, for users who may hear no other. Default:
   * `_INBOX`, or that of the account which `creds` name.
   */
  readonly inboxPrefix?: string
  /**
   * Messages under way at once: not answered, or for `send` not acknowledged. More wait in order, within their timeout;
   * then they fail with `TooManyUnderWay`. Default: 1,024.
   */
  readonly maxInFlight?: number
  /**
   * Merges the commands that are sent or asked at once into batches, which the service's stream takes as one. For a server that
   * syncs each write before it acknowledges (`sync_interval: always`): 512 callers sent 16,000 commands/s instead of 2,100,
   * 64 sent 2,900 instead of 2,500. Elsewhere single ones are faster: a batch costs the server a sync or several, whatever its settings. Older servers than
   * 2.12 get single ones. Default: false.
   */
  readonly merge?: boolean
}

/**
 * Bytes that may be sent while the server says nothing. A server that is frozen, or behind a dead link, is noticed by its
 * pings, 15 seconds later at worst: until then all that is sent stays in our memory.
 */
const unheardLimit = 32 * 1024 ** 2

const lost = new NotConnected({ detail: "the connection is lost" })
const isRefused = (cause: unknown): boolean =>
  cause instanceof AuthorizationError || cause instanceof UserAuthenticationExpiredError

/** One connection with one inbox, where acknowledgements and answers arrive, told apart by the last token. */
export class Link {
  readonly nc: Dialled
  /** The account of the user, where services have accounts of their own. */
  readonly account: string | undefined
  /** Whether a server is there, as far as we know. */
  connected = true
  /** Why none is there, while none is. */
  away: Reason = lost
  /** Of headers and body together; the last known one while there is no server. */
  maxPayload: number
  /** What all readers of the connection may have asked for. */
  readonly budget = new ReadBudget()
  /** Begins the subjects where answers arrive: `ConnectOptions.inboxPrefix`. */
  readonly inboxPrefix: string
  private readonly prefix: string
  private inbox: Subscription | undefined
  private deaf: NotAllowed | undefined
  /** Sent since the server last said anything here, in bytes. */
  private unheard = 0
  private readonly waiting = new Map<string, (msg: Msg) => void>()
  private readonly underway = new Map<Signals, string>()
  private readonly violated = new Set<(subject: string) => void>()
  private readonly reconnected = new Set<() => void>()
  private readonly ended = new Set<() => void>()
  /** By service. */
  private readonly mergers: Map<string, Merger> | undefined
  private count = 0
  private readonly backoff: Backoff

  constructor(nc: Dialled, inboxPrefix: string, backoff: Backoff, merge: boolean, account?: string) {
    this.mergers = merge ? new Map() : undefined
    this.nc = nc
    this.account = account
    this.backoff = backoff
    this.inboxPrefix = inboxPrefix
    this.prefix = createInbox(inboxPrefix)
    this.maxPayload = nc.info?.max_payload ?? 1_048_576
    this.listen()
  }

  /** Where the JetStream API of a stream is. */
  api(stream: string): string {
    return Account.api(this.account, stream)
  }

  /** Why nothing can be sent or answered, if so. An inbox that was refused is tried again by the next message. */
  refusal(): Reason | undefined {
    if (this.elsewhere !== undefined) return this.elsewhere
    if (this.nc.isClosed()) return new NotConnected({ detail: "the connection was closed" })
    const deaf = this.deaf
    if (deaf === undefined) return undefined
    this.deaf = undefined
    this.listen()
    return deaf
  }

  /** That it belongs to another request of a Worker, if so. */
  get elsewhere(): NotConnected | undefined {
    const detail = this.nc.elsewhere?.()
    return detail === undefined ? undefined : new NotConnected({ detail })
  }

  private listen(): void {
    if (this.nc.isClosed()) return
    this.inbox = this.nc.subscribe(`${this.prefix}.*`, {
      callback: (error, msg) => {
        this.unheard = 0
        if (error === null) this.hear(msg.subject, msg)
      }
    })
  }

  /** Whether more can be sent: the server has answered some of what it was sent. */
  get isHeard(): boolean {
    return this.unheard < unheardLimit
  }

  publish(subject: string, body: string, options: PublishOptions): void {
    // Characters: at most three times as many bytes, and mostly as many.
    this.unheard += body.length + 500
    this.nc.publish(subject, body, options)
  }

  /** What merges messages to a service, if this connection merges. */
  merger(service: string): Merger | undefined {
    if (this.mergers === undefined) return undefined
    const found = this.mergers.get(service) ?? new Merger(this)
    this.mergers.set(service, found)
    return found
  }

  /** Whether somebody waits for a message to this subject of the inbox. */
  expects(subject: string): boolean {
    return this.waiting.has(subject)
  }
  /** Gives a message to whoever waits on this subject of the inbox. */
  hear(subject: string, msg: Msg): void {
    this.waiting.get(subject)?.(msg)
  }

  /** A new subject of the inbox; its messages go to `hear` until `forget`. */
  expect(hear: (msg: Msg) => void): string {
    const subject = `${this.prefix}.${(this.count++).toString(36)}`
    this.waiting.set(subject, hear)
    return subject
  }

  forget(subjects: Iterable<string>): void {
    for (const subject of subjects) this.waiting.delete(subject)
  }

  /** Tells `signals` what happens to the connection, and to `subject` in particular. */
  join(signals: Signals, subject: string): void {
    this.underway.set(signals, subject)
  }
  leave(signals: Signals): void {
    this.underway.delete(signals)
  }

  /** Calls `tell` for every subject that the server refuses, until the returned function is called. */
  onViolation(tell: (subject: string) => void): () => void {
    this.violated.add(tell)
    return () => this.violated.delete(tell)
  }

  /** Calls `tell` whenever the connection was restored, until the returned function is called. */
  onReconnect(tell: () => void): () => void {
    this.reconnected.add(tell)
    return () => this.reconnected.delete(tell)
  }

  /** Calls `tell` once the connection is closed, at once when it is, unless the returned function was called before. */
  onClosed(tell: () => void): () => void {
    if (this.nc.isClosed()) tell()
    else this.ended.add(tell)
    return () => this.ended.delete(tell)
  }

  /** Follows the connection; ends when it is closed. The server reports refused subjects here and nowhere else. */
  async watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect") this.connected = false
      else if (status.type === "reconnecting") this.backoff.attempt()
      else if (status.type === "reconnect") {
        this.connected = true
        this.away = lost
        this.unheard = 0
        this.backoff.reset()
        this.maxPayload = this.nc.info?.max_payload ?? this.maxPayload
        this.tell(() => ({ _tag: "Reconnected" }))
        for (const tell of this.reconnected) tell()
      } else if (status.type === "error" && status.error instanceof PermissionViolationError) {
        this.refused(status.error)
      } else if (status.type === "error" && !this.connected && isRefused(status.error)) {
        this.away = new NotAuthorized({ detail: status.error.message })
      }
    }
    await this.nc.closed()
    for (const tell of this.ended) tell()
  }

  private refused({ operation, subject }: PermissionViolationError): void {
    const deaf = operation === "subscription" && subject === this.inbox?.getSubject()
    const reason = new NotAllowed({ subject })
    if (deaf) this.deaf = reason
    this.tell((to) => (deaf || to === subject ? { _tag: "Refused", reason, passing: false } : undefined))
    for (const tell of this.violated) tell(subject)
  }

  private tell(what: (subject: string) => Signal | undefined): void {
    for (const [signals, subject] of this.underway) {
      const signal = what(subject)
      if (signal !== undefined) signals.offer(signal)
    }
  }

  async close(): Promise<void> {
    const reason = new NotConnected({ detail: "the connection was closed" })
    this.tell(() => ({ _tag: "Refused", reason, passing: false }))
    await this.nc.close()
  }
}

/** Connects within the timeout, trying again; closes with the scope. A refused user fails at once. */
export const connect = Effect.fnUntraced(function* (
  dial: Dial,
  options: ConnectOptions
): Effect.fn.Return<Link, ClientError, Scope.Scope> {
  const servers = typeof options.servers === "string" ? [options.servers] : [...options.servers]
  const login = signedIn(options, servers)
  const to = login.servers.join(", ")
  const creds = yield* Effect.try({
    try: () => (options.creds === undefined ? undefined : renewed(options.creds)),
    catch: (cause) => new ClientError({ to, reason: new NotAuthorized({ detail: Text.text(cause) }) })
  })
  const { account } = Account.userOf(creds?.() ?? "")
  const inboxPrefix = options.inboxPrefix ?? (account === undefined ? "_INBOX" : `_INBOX.${account}`)
  if (!Envelope.isReplyTo(`${inboxPrefix}.a.b`)) {
    return yield* Effect.die(
      new TypeError(`"${inboxPrefix}" is no inbox prefix: it must be _INBOX, or _INBOX. and one token`)
    )
  }
  const within = Duration.fromInputUnsafe(options.timeout ?? "5 seconds")
  const backoff = new Backoff()
  let last: ClientError | undefined
  let refused = false
  const attempt = Effect.callback<Dialled, ClientError>((resume) => {
    let wanted = true
    const dialled = dial({
      ...login,
      ...(options.token === undefined ? {} : { token: options.token }),
      ...(creds === undefined ? {} : { authenticator: credsAuthenticator(() => encoder.encode(creds())) }),
      name: options.name ?? "client",
      inboxPrefix,
      timeout: Math.max(1, Math.min(Duration.toMillis(within), 20_000)),
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: backoff.next,
      // A user who is refused for a moment, while the server's configuration changes, is no reason to give up for ever.
      ignoreAuthErrorAbort: true,
      // A server that does not answer is given up after 10 to 15 s.
      pingInterval: 5_000,
      maxPingOut: 2,
      noAsyncTraces: true
    })
    dialled.then(
      (nc) => (wanted ? resume(Effect.succeed(nc)) : void nc.close()),
      (cause: unknown) => {
        const detail = (cause instanceof Error && cause.message) || "connection refused"
        refused = isRefused(cause)
        last = new ClientError({ to, reason: refused ? new NotAuthorized({ detail }) : new NotConnected({ detail }) })
        resume(Effect.fail(last))
      }
    )
    return Effect.sync(() => {
      wanted = false
    })
  })
  const nc = yield* attempt.pipe(
    Effect.retry({ schedule: Schedule.spaced("100 millis"), while: () => !refused }),
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => last ?? new ClientError({ to, reason: new TimedOut({ after: Duration.format(within) }) })
    })
  )
  const link = yield* Effect.acquireRelease(
    Effect.sync(() => new Link(nc, inboxPrefix, backoff, options.merge === true, account)),
    (link) => Effect.promise(() => link.close())
  )
  yield* Effect.forkScoped(Effect.promise(() => link.watch()))
  return link
})

/** NATS.js takes user and password by option, not in the address. */
const signedIn = (
  { pass, user }: ConnectOptions,
  servers: ReadonlyArray<string>
): { readonly servers: Array<string>; readonly user?: string; readonly pass?: string } => {
  const found = { ...(user === undefined ? {} : { user }), ...(pass === undefined ? {} : { pass }) }
  const plain = servers.map((server) =>
    server.replace(/^([a-z]+:\/\/)?([^:@/]+):([^@/]+)@/, (_, scheme: string = "", user: string, pass: string) => {
      if (found.user === undefined)
        Object.assign(found, { user: decodeURIComponent(user), pass: decodeURIComponent(pass) })
      return scheme
    })
  )
  return { servers: plain, ...found }
}

/** The credentials as they are now, or as they last were: the connection would be closed for good by none. */
const renewed = (creds: string | (() => string)): (() => string) => {
  if (typeof creds === "string") return () => creds
  let last = creds()
  return () => {
    try {
      const text = creds()
      if (/-END NATS USER JWT-[^]*-END USER NKEY SEED-/.test(text)) last = text
    } catch {
      // The server says what is wrong with the last one.
    }
    return last
  }
}
const encoder = new TextEncoder()

/**
 * The delay between attempts to reconnect, ms: 100 at first, doubled by each attempt up to 2 s, with up to a quarter of
 * jitter; by the monotonic clock. nats.js notes the wall-clock time of each attempt and makes no further one before that
 * time plus the delay, so that after a clock that was an hour ahead is corrected it would not reconnect for an hour. It
 * asks for the delay before each look at a server, and waits no longer than the answer before it looks again: a delay in
 * the infinite past makes the attempt due, whatever the wall clock says.
 */
class Backoff {
  private delay = 100
  private due = Number.NEGATIVE_INFINITY
  readonly next = (): number => {
    const now = performance.now()
    const delay = this.delay * (1 + Math.random() / 4)
    if (now < this.due) return delay
    this.due = now + delay
    return Number.NEGATIVE_INFINITY
  }
  attempt(): void {
    this.delay = Math.min(this.delay * 2, 2_000)
  }
  reset(): void {
    this.delay = 100
  }
}
