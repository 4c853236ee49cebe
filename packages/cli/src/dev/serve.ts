import * as Print from "../Print.ts"
import type { Message } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Banner from "./Banner.ts"
import * as Child from "./Child.ts"
import * as Keys from "./Keys.ts"
import * as Notices from "./Notices.ts"
import * as Ports from "./Ports.ts"
import { until200 } from "./Probe.ts"
import * as Program from "./Program.ts"
import * as SecretFile from "./SecretFile.ts"
import type { Servers } from "./Servers.ts"
import type { Service } from "./Service.ts"
import * as Supervisor from "./Supervisor.ts"
import * as Users from "./Users.ts"

export interface Options {
  readonly services: ReadonlyArray<Service>
  /** What can be tried through the gateways among them. */
  readonly examples: ReadonlyArray<{ readonly name: string; readonly example: Message | undefined }>
  readonly servers: Servers
  /** A program to run once everything is ready. */
  readonly after: string | undefined
  readonly once: boolean
  readonly json: boolean
}

/** Not the next one: another `troupe dev` may have come to the same thought. */
const otherPort = (taken: number) =>
  Effect.gen(function* () {
    const [port = 0] = yield* Ports.free(1, taken + (yield* Random.nextIntBetween(1, 200)))
    return port
  })

const world: Supervisor.World = {
  start: Child.start,
  probe: until200,
  port: otherPort,
  pass: Notices.pass,
  say: Notices.say
}

/** Starts the services, says when all are ready, runs the program; answers the exit code of the whole. */
export const serve = (options: Options) =>
  Effect.gen(function* () {
    const fleet = options.services.map((service) => Supervisor.make(service, world))
    const running = yield* Effect.forkScoped(
      Effect.forEach(fleet, ({ run }) => run, { concurrency: "unbounded", discard: true })
    )
    const given = Effect.andThen(Fiber.join(running), Effect.never)
    const up = yield* Effect.raceFirst(given, allRunning(fleet))
    yield* announce(options, up)
    // From here on Ctrl-C is how it ends.
    yield* Effect.sync(() => void (process.exitCode = 0))
    const keys = Keys.available() ? yield* Keys.read(killOne(fleet)) : Effect.never
    return yield* Effect.ensuring(
      Effect.raceFirst(given, Effect.raceFirst(Effect.as(keys, 0), program(options))),
      Effect.sync(() => Notices.say("stopping"))
    )
  })

/** All of them at the same moment: the first may have died again before the last was ready. */
const allRunning = (fleet: ReadonlyArray<Supervisor.Supervisor>) =>
  Effect.gen(function* () {
    yield* Effect.forEach(fleet, (one) => one.ready, { concurrency: "unbounded" })
    while (true) {
      const up = fleet.flatMap((one) => one.running() ?? [])
      if (up.length === fleet.length) return up
      yield* Effect.sleep("50 millis")
    }
  })

const announce = ({ after, examples, json, servers, services }: Options, up: ReadonlyArray<Supervisor.Running>) =>
  Effect.gen(function* () {
    if (!json) {
      const { started } = servers
      const isOurs = started.some(({ variable }) => variable === "DATABASE_URL")
      const databaseFile = isOurs ? yield* SecretFile.make("database-url", servers.databaseUrl) : undefined
      const gateways = examples.flatMap(({ example, name }) =>
        up.flatMap((one) => (one.name === name ? [{ name, url: one.url, example }] : []))
      )
      const own = up.filter(({ name }) => !examples.some((one) => one.name === name))
      return yield* Print.out(
        Banner.lines({ services: own, gateways, started, databaseFile, keys: Keys.available() }).join("\n")
      )
    }
    if (after !== undefined) return
    const files = new Map(services.map(({ file, name }) => [name, file]))
    yield* Print.out(JSON.stringify({ services: up.map((one) => ({ ...one, file: files.get(one.name) })) }))
  })

/** The exit code that ends the run, or never. */
const program = ({ after, json, once, servers, services }: Options) =>
  Effect.gen(function* () {
    const then = (file: string) =>
      Effect.flatMap(Users.callerBeside(file), (caller) =>
        Program.run({ file, json, natsUrl: servers.natsUrlOf(caller), services })
      )
    const code = after === undefined ? 0 : yield* then(after)
    if (once) return code
    if (after !== undefined) Notices.say(`${after} ended with exit code ${code}; the services stay up`)
    return yield* Effect.never
  })

/** SIGKILL to any of them, in the middle of whatever it does. */
const killOne = (fleet: ReadonlyArray<Supervisor.Supervisor>) =>
  Effect.gen(function* () {
    const living = fleet.filter((one) => one.running() !== undefined)
    if (living.length === 0) return
    const one = living[yield* Random.nextIntBetween(0, living.length)]
    if (one === undefined) return
    Notices.say(`killing ${one.name}`)
    yield* one.kill
  })
