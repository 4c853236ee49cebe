import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { Envelope, Subject } from "@troupe/contract"
import { NatsServer } from "@troupe/embedded"
import { Migrations } from "@troupe/postgres"
import { connected, until } from "@troupe/test-world"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { SignJWT } from "jose"

const root = fileURLToPath(new URL("../../../", import.meta.url))
/** Of the tokens. */
export const secret = "the secret of a gateway under test"

/** A `troupe run` of its own process. */
export interface Program {
  readonly url: string
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  readonly said: () => string
  /** Its exit code, or the signal that ended it. */
  readonly ended: Effect.Effect<number | string>
}

/** The orders service's servers, with the committed users, and how to run it and the shop's gateway on them. */
export class World extends Context.Service<
  World,
  {
    readonly nats: NatsServer.NatsServer
    /** How often an order was placed, once it was: its events in the stream. */
    placed(id: string): Effect.Effect<number>
    readonly orders: Effect.Effect<Program, never, Scope.Scope>
    /** On a free port, or on one that it had before. */
    gateway(port?: string, env?: Record<string, string>): Effect.Effect<Program, never, Scope.Scope>
    /** Without tokens. */
    readonly openGateway: Effect.Effect<Program, never, Scope.Scope>
    /** Says so many events of the kind `orders.Order.cancelled`, each with its number and a text, as its lane's owner would. */
    emit(from: number, to: number, text?: string): Effect.Effect<void>
    /** Deletes all events from the stream. */
    readonly purge: Effect.Effect<void>
    /** Waits until its stream of commands has seen so many. */
    stored(commands: number): Effect.Effect<unknown>
    readonly commands: Effect.Effect<number>
  }
>()("@troupe/test-gateway/World") {
  static readonly layer = Layer.effect(
    World,
    Effect.gen(function* () {
      // Everybody as the user that the committed policy has for it.
      const policy = readFileSync(`${root}infra/policy/nats.conf`, "utf8")
      const passwords = [...policy.matchAll(/password: \$(\w+)/g)].map(([, variable]) => `${variable}: "secret"`)
      const nats = yield* NatsServer.start({ config: `${passwords.join("\n")}\n${policy}` })
      const as = (user: string) => nats.url.replace("nats://", `nats://${user}:secret@`)
      const admin = process.env["DATABASE_URL"] ?? ""
      const server = yield* connected(admin)
      const name = `gateway_${process.pid}_${Math.random().toString(36).slice(2, 8)}`
      yield* Effect.acquireRelease(
        Effect.promise(() => server.unsafe(`create database ${name}`)),
        () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
      )
      const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
      yield* Migrations.run({ url: Redacted.make(url), folder: `${root}services/orders/migrations` })
      const nc = yield* Effect.acquireRelease(
        Effect.promise(() => connect({ servers: `127.0.0.1:${nats.port}`, user: "OPERATOR", pass: "secret" })),
        (nc) => Effect.promise(() => nc.close())
      )
      const jsm = yield* Effect.promise(() => jetstreamManager(nc))
      // The services that orders hears are not run here; it is ready once their streams are there.
      for (const other of ["payments", "shipping"])
        yield* Effect.promise(() =>
          jsm.streams.add({
            name: `EVT_${other}`,
            subjects: [Subject.accepted("evt", other)],
            subject_transform: { src: Subject.accepted("evt", other), dest: Subject.transformed("evt", other, 16) }
          })
        )
      const last = async () => (await jsm.streams.info("CMD_orders")).state.last_seq
      const env = (user: string) => ({ NATS_URL: as(user), DATABASE_URL: url, TROUPE_HTTP_PORT: "0" })
      return World.of({
        nats,
        placed: (id) =>
          until(
            async () => {
              const filter = `evt.orders.*.Order.placed.${id}`
              const { state } = await jsm.streams.info("EVT_orders", { subjects_filter: filter })
              return Object.values(state.subjects ?? {}).reduce((sum, n) => sum + n, 0)
            },
            (events) => events > 0
          ),
        openGateway: program("gateway", { ...env("gateway"), TROUPE_AUTH: "none" }),
        emit: (from, to, text = "") =>
          Effect.promise(async () => {
            for (let n = from; n <= to; n++) {
              const id = crypto.randomUUID()
              const envelope = Envelope.toHeaders({
                id,
                type: "orders.Order.cancelled",
                source: "orders",
                key: `k-${n % 7}`
              })
              const all = headers()
              for (const [header, value] of Object.entries(envelope)) all.set(header, value)
              const body = JSON.stringify({ reason: `${n} ${text}` })
              await jetstream(nc).publish(`evt.orders.Order.cancelled.k-${n % 7}`, body, { headers: all })
            }
          }),
        purge: Effect.promise(async () => void (await jsm.streams.purge("EVT_orders"))),
        orders: program("orders", env("orders")),
        gateway: (port = "0", more = {}) =>
          program("gateway", { ...env("gateway"), TROUPE_HTTP_PORT: port, TROUPE_JWT_SECRET: secret, ...more }),
        stored: (commands) => until(last, (seen) => seen >= commands),
        commands: Effect.promise(last)
      })
    })
  ).pipe(Layer.orDie)
}

/** `troupe run` of a service or the gateway of the shop; done when it is ready, and ended with the scope. */
const program = (name: string, env: Record<string, string>): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function* () {
    const args = [
      "--conditions=@troupe/source",
      "packages/cli/src/main.ts",
      "run",
      `services/${name}/src/main.ts`,
      "--json"
    ]
    let said = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env } })),
      (child) =>
        Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended
        )
    )
    const ended: Effect.Effect<number | string> = Effect.callback((resume) => {
      const done = () => resume(Effect.succeed(child.exitCode ?? child.signalCode ?? "gone"))
      if (child.exitCode === null && child.signalCode === null) child.once("close", done)
      else done()
    })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (said += text))
    const ready = /^\{"service":.*"url":"([^"]+)".*\}$/m
    yield* until(
      async () => ready.test(said) || child.exitCode !== null,
      (is) => is
    )
    const url = ready.exec(said)?.[1]
    if (url === undefined) return yield* Effect.die(new Error(`${name} is not ready: ${said}`))
    return { url, pid: child.pid ?? 0, kill: (signal) => void child.kill(signal), said: () => said, ended }
  })

/** A token of the gateway's, for so many seconds. */
export const token = (sub: string, scope: string, seconds = 600, key = secret): Promise<string> =>
  new SignJWT({ scope })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
    .sign(new TextEncoder().encode(key))

/** What the program `curl` gets. `status` 0: no answer. */
export interface Got {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Runs the real curl. */
export const curl = (...args: ReadonlyArray<string>): Promise<Got> =>
  new Promise((resolve, reject) => {
    const child = spawn("curl", ["-s", "-i", "--max-time", "40", ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
    child.once("error", reject)
    child.once("close", () => {
      const [headers = "", ...body] = out.replace(/^HTTP\/1.1 100 Continue\r\n\r\n/, "").split("\r\n\r\n")
      resolve({ status: Number(/^HTTP\/[\d.]+ (\d+)/.exec(headers)?.[1] ?? 0), headers, body: body.join("\r\n\r\n") })
    })
  })
