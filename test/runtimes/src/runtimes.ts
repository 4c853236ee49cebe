import { binary } from "@troupe/test-world/binary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { bundle } from "./bundle.ts"
import type { Checked } from "./checks.ts"
import { same, settled, told } from "./checks.ts"
import * as Chromium from "./Chromium.ts"
import * as hosts from "./hosts.ts"
import * as Program from "./Program.ts"
import * as Workerd from "./Workerd.ts"
import type { World } from "./World.ts"

/** What one runtime came to. */
export interface Report {
  readonly runtime: Name
  readonly version: string
  readonly checked: ReadonlyArray<Checked>
}

export const names = ["node", "deno", "bun", "workerd", "chromium"] as const
export type Name = (typeof names)[number]

/** Checks one runtime, from its first program to its last. One that cannot be run fails one check, which says why. */
export const check = (name: Name, world: World): Effect.Effect<Report> =>
  checks[name](world).pipe(
    Effect.catchCause((cause) =>
      Effect.succeed({ version: "unknown", checked: [{ name: "it runs", failed: Cause.pretty(cause) }] })
    ),
    Effect.map((found) => ({ runtime: name, ...found }))
  )

type Found = Omit<Report, "runtime">

/** The client over both transports against a host of the same runtime; then the host itself. */
const full =
  (runtime: Program.Runtime, version: Effect.Effect<string>) =>
  (world: World): Effect.Effect<Found> =>
    Effect.scoped(
      Effect.gen(function* () {
        const calls = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* hosts.started({ runtime, world })
            return yield* Effect.forEach(["ws", "tcp"] as const, (transport) => client(runtime, world, transport))
          })
        )
        const checked = [...calls.flat(), ...named("host", yield* hosts.check(runtime, world))]
        return { version: yield* version, checked }
      })
    )

const client = (runtime: Program.Runtime, world: World, transport: "ws" | "tcp") =>
  Effect.scoped(
    Effect.gen(function* () {
      const place = world.place(transport)
      const net = [place.servers, place.proxied, place.control].map((url) => new URL(url).host)
      // nats-core reads no variable; Effect asks for one of colour.
      const flags = [`--allow-net=${net}`, "--allow-read=.", "--allow-env"]
      const program = yield* Program.on(
        runtime,
        flags,
        "test/runtimes/src/process.ts",
        JSON.stringify({ ...place, transport })
      )
      const code = yield* program.ended
      if (code !== 0) return [{ name: `${transport}: the program`, failed: `ended with ${code}: ${program.stderr()}` }]
      return named(transport, JSON.parse(program.stdout()) as ReadonlyArray<Checked>)
    })
  )

/** Runs in a page and in a Worker, with a host on Node. */
const callers = <A>(world: World, run: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.scoped(Effect.andThen(hosts.started({ runtime: "node", world }), run))

const chromium = (world: World): Effect.Effect<Found> =>
  callers(
    world,
    Effect.gen(function* () {
      world.serve("page.js", "text/javascript", yield* Effect.promise(() => bundle("page.ts")))
      world.serve("page.html", "text/html", '<!doctype html><script type="module" src="/page.js"></script>')
      const { checked, version } = yield* Chromium.check(world.place("ws"))
      return { version, checked: named("ws", checked) }
    })
  )

const elsewhere =
  "it was made in another request of this Worker: connect in each request, or keep it in a Durable Object"
const refused = (to: string): string =>
  `TRP0401 cannot connect to NATS · ${to} · ${elsewhere} · check NATS_URL and that nats-server runs`
/** What `used` in the Worker answers for a connection that works, and for one of another request. */
const works = [1, null, 3, "counting.Counter.added"]
const fails = [...Array.from({ length: 3 }, () => refused("counting.Counter.add")), refused("EVT_counting")]

const workerd = (world: World): Effect.Effect<Found> =>
  callers(
    world,
    Effect.scoped(
      Effect.gen(function* () {
        const worker = yield* Workerd.start
        const place = world.place("ws")
        const ask = (path: string) => worker.ask(path, { place, key: crypto.randomUUID() })
        const inRequest = (yield* Effect.promise(() => ask("/check"))) as ReadonlyArray<Checked>
        const across: { readonly [name: string]: () => Promise<void> } = {
          "a Durable Object keeps its connection": async () => {
            for (let i = 0; i < 3; i++) same(await ask("/object"), works)
          },
          "a Durable Object finds a server that came back": async () => {
            same(await ask("/object"), works)
            await told(place, "restart")
            same(await ask("/object"), works)
          },
          "a connection of a request that has ended says so": async () => {
            await ask("/keep")
            same(await ask("/use"), fails)
          },
          "a connection of a request that is under way says so, and still works there": async () => {
            const lingering = ask("/linger")
            while ((await ask("/lingers")) !== true);
            same(await ask("/use"), fails)
            await ask("/finish")
            same(await lingering, works)
          },
          "a subscription of another request says so": async () => {
            same(await ask("/hear"), "counting.Counter.added")
            same(await ask("/next"), `ClientError: ${refused("events")}`)
          },
          "a connection of another request cannot be closed, and that says so": async () => {
            await ask("/keep")
            same(/^Error: Cannot .* outside of the request/.test(String(await ask("/close"))), true)
          }
        }
        const checked: Array<Checked> = [...named("request", inRequest)]
        for (const [name, run] of Object.entries(across))
          checked.push(yield* Effect.promise(() => settled(`requests: ${name}`, run)))
        return { version: yield* said(binary("workerd"), "--version"), checked }
      })
    )
  )

const named = (prefix: string, checked: ReadonlyArray<Checked>): ReadonlyArray<Checked> =>
  checked.map((one) => ({ ...one, name: `${prefix}: ${one.name}` }))

/** The first line that a program prints, with its version. */
const said = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.scoped(
    Effect.flatMap(Program.run(command, args), (program) =>
      Effect.map(program.ended, () => /\d[\w.-]+/.exec(program.stdout())?.[0] ?? "unknown")
    )
  )

const checks: { readonly [N in Name]: (world: World) => Effect.Effect<Found> } = {
  node: full("node", Effect.succeed(process.versions.node)),
  deno: full(
    "deno",
    Effect.suspend(() => said(binary("deno"), "--version"))
  ),
  bun: full(
    "bun",
    Effect.suspend(() => said(binary("bun"), "--version"))
  ),
  workerd,
  chromium
}
