import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { type Failure, failure, reason } from "../Failure.ts"
import { variable as parent } from "../run/parent.ts"
import * as Self from "../Self.ts"
import * as Lines from "./Lines.ts"
import { ended, killOnExit } from "./Process.ts"
import type { Service } from "./Service.ts"

/** What `troupe run --json` prints when it is ready. */
const Ready = Schema.Struct({ service: Schema.String, url: Schema.String, pid: Schema.Int })
const readReady = Schema.decodeUnknownOption(Schema.fromJsonString(Ready))

export interface Child {
  readonly pid: number
  /** Its health endpoints' url, once it has said that it is ready. */
  readonly ready: Effect.Effect<string>
  /** How it went, once it is gone: `exit code 1`, `SIGKILL`. */
  readonly ended: Effect.Effect<string>
  readonly kill: Effect.Effect<void>
}

/** How long a service may take to end itself before it is killed. */
export const grace = "10 seconds"

/** Starts the process of a service. When the scope ends it gets SIGTERM, then SIGKILL after `grace`. */
export const start = (
  service: Service,
  say: (line: string) => void
): Effect.Effect<Child, Failure, ChildProcessSpawner | Scope.Scope> =>
  Effect.gen(function* () {
    // Closed last to first: the process ends, then what it said last is heard, then nobody listens any more.
    const listening = yield* Scope.fork(yield* Effect.scope)
    const listeners: Array<Fiber.Fiber<void>> = []
    // A grandchild may hold the pipes open for ever.
    const heard = Effect.suspend(() => Effect.timeoutOption(Fiber.awaitAll(listeners), "500 millis"))
    yield* Effect.addFinalizer(() => heard)
    const watch = yield* killOnExit
    const command = commandOf(service, yield* References.MinimumLogLevel)
    const handle = yield* Effect.mapError(command, (cause) => failure("TRP0105", service.name, reason(cause)))
    watch(handle.pid)
    const ready = yield* Deferred.make<string>()
    const hear = (line: string): void => {
      const said = readReady(line)
      if (said._tag === "Some") Deferred.doneUnsafe(ready, Effect.succeed(said.value.url))
      else say(line)
    }
    listeners.push(
      yield* Effect.forkIn(passOn(handle.stdout, hear), listening),
      yield* Effect.forkIn(passOn(handle.stderr, say), listening)
    )
    return {
      pid: handle.pid,
      ready: Deferred.await(ready),
      ended: Effect.tap(ended(handle), () => heard),
      kill: Effect.ignore(handle.kill({ killSignal: "SIGKILL" }))
    }
  })

/** A gateway that is told of no keys takes everybody of this machine. */
const openly = process.env["TROUPE_AUTH"] === undefined ? { TROUPE_AUTH: "none" } : {}

const commandOf = ({ databaseUrl, file, natsUrl, port }: Service, level: LogLevel.LogLevel) => {
  const http = ["--http-host", "127.0.0.1", "--http-port", String(port)]
  return ChildProcess.make(
    process.execPath,
    [...Self.nodeFlags(), Self.main, "run", file, "--json", ...http, "--log-level", level.toLowerCase()],
    {
      env: {
        NATS_URL: natsUrl,
        ...(databaseUrl === undefined ? openly : { DATABASE_URL: databaseUrl }),
        [parent]: "stdin"
      },
      extendEnv: true,
      stdin: { stream: "pipe", endOnDone: false },
      forceKillAfter: grace
    }
  )
}

const passOn = <E>(bytes: Stream.Stream<Uint8Array, E>, say: (line: string) => void): Effect.Effect<void> => {
  const lines = Lines.make()
  return Stream.decodeText(bytes).pipe(
    Stream.runForEach((text) => Effect.sync(() => lines.push(text).forEach(say))),
    Effect.ignore,
    Effect.ensuring(Effect.sync(() => lines.end().forEach(say)))
  )
}
