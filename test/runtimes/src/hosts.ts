import { connect, type Connection } from "@troupe/client/node"
import { connected as queried, until } from "@troupe/test-world"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type Checked, same, settled } from "./checks.ts"
import { Counting } from "./contract.ts"
import * as Program from "./Program.ts"
import type { World } from "./World.ts"

/** What an actor host promises on every runtime, and what Deno's permissions promise beside. */
export const check = (runtime: Program.Runtime, world: World): Effect.Effect<ReadonlyArray<Checked>> => {
  const given: Given = { runtime, world, key: crypto.randomUUID() }
  const checks = runtime === "deno" ? { ...everywhere, ...walls } : everywhere
  return Effect.forEach(Object.entries(checks), ([name, run]) =>
    // One that hangs is interrupted, so that its host is gone before the next begins.
    Effect.promise(() =>
      settled(name, () => Effect.runPromise(Effect.timeout(Effect.scoped(run(given)), "1 minute")), 70_000)
    )
  )
}

interface Given {
  readonly runtime: Program.Runtime
  readonly world: World
  readonly key: string
}
type Check = (given: Given) => Effect.Effect<void, unknown, Scope.Scope>

const everywhere: { readonly [name: string]: Check } = {
  "state outlives the host": (given) =>
    Effect.gen(function* () {
      const counter = Counting.Counter.at(given.key)
      const client = yield* connected(given.world)
      for (const left of [7, 14]) {
        const host = yield* started(given)
        same(yield* Effect.promise(() => client.ask(counter.add({ n: 7 }), { timeout: "10 seconds" })), left)
        host.kill("SIGTERM")
        same(yield* host.ended, 0)
      }
    }),

  "a timer fires, and a projection in a Drizzle table follows": (given) =>
    Effect.gen(function* () {
      const client = yield* connected(given.world)
      const sql = yield* queried(given.world.databaseUrl)
      yield* started(given)
      const counter = Counting.Counter.at(`${given.key}-total`)
      for (const n of [3, 4]) yield* Effect.promise(() => client.ask(counter.add({ n })))
      yield* Effect.promise(() => client.send(counter.later({ n: 5 })))
      const added = () => sql`select added from app.total where key = ${`${given.key}-total`}`
      yield* until(added, ([row]) => row?.["added"] === 12)
    }),

  "SIGTERM finishes, ends with 0, and another host answers the rest once": (given) =>
    Effect.gen(function* () {
      const client = yield* connected(given.world)
      const first = yield* started(given)
      let answered = 0
      const some = yield* Deferred.make<void>()
      const asked = yield* Effect.forEach(
        Array.from({ length: 400 }, (_, i) => Counting.Counter.at(`${given.key}-${i % 20}`)),
        (counter) =>
          Effect.promise(async () => {
            const left = await client.ask(counter.add({ n: 1 }), { timeout: "15 seconds" })
            if (++answered === 40) Deferred.doneUnsafe(some, Effect.void)
            return left
          }),
        { concurrency: 40 }
      ).pipe(Effect.forkChild)
      yield* Deferred.await(some)
      first.kill("SIGTERM")
      same(yield* first.ended, 0)
      // Some are left: it was told in the middle.
      same(answered < 400, true)
      yield* started(given)
      const sum = (yield* Fiber.join(asked)).reduce((sum, left) => sum + left, 0)
      // Twenty keys, each with the answers 1 to 20.
      same(sum, 20 * 210)
    })
}

/** What the script of `troupe permissions --format deno` allows, and no more. */
const walls: { readonly [name: string]: Check } = {
  "without the database's address it ends, and says which": (given) =>
    denied(given, "${DATABASE_ADDRESS:?},", /^TRP0501 .* Requires net access to "DATABASE"/),
  "without the broker's address it ends, and says which": (given) =>
    denied(given, "${NATS_ADDRESS:?},", /^TRP0401 .* Requires net access to "NATS"/),
  "it needs every other permission that it has": (given) =>
    Effect.forEach(
      [
        [",127.0.0.1:${TROUPE_HTTP_PORT:-4100}", /Requires net access to "127.0.0.1:\d+"/],
        ['--allow-read=".${NATS_CREDS:+,$NATS_CREDS}"', /Requires read access/],
        ["--allow-env", /Requires env access/],
        ["hostname,", /Requires sys access to "hostname"/],
        [",uid", /Requires sys access to "uid"/]
      ] as const,
      ([permission, why]) => denied(given, permission, why),
      { discard: true }
    ),

  "a handler may read no other file, and call no other address": (given) =>
    Effect.gen(function* () {
      const host = yield* started(given)
      const client = yield* connected(given.world)
      same(yield* trespassed(client, given), {
        file: 'NotCapable: Requires read access to "/etc/hostname", run again with the --allow-read flag',
        url: `NotCapable: Requires net access to "${new URL(given.world.place("tcp").control).host}", run again with the --allow-net flag`
      })
      host.kill("SIGTERM")
      same(yield* host.ended, 0)
    })
}

/** A host whose script lacks one permission; it ends with 1 and says why, with the servers' names for their addresses. */
const denied = ({ runtime, world }: Given, permission: string, why: RegExp) =>
  Effect.scoped(
    Effect.gen(function* () {
      const host = yield* Program.host(runtime, world, (script) => {
        same(script.split(permission).length, 2)
        return script.replace(permission, "")
      })
      same(yield* host.ended, 1)
      const said = host
        .stderr()
        .replaceAll(new URL(world.natsUrl).host, "NATS")
        .replaceAll(new URL(world.databaseUrl).host, "DATABASE")
      if (!why.test(said)) throw new Error(`${permission}: ${said}`)
    })
  )

/** What became of a handler's tries to read a file and to call a server that its service does not need. */
export const trespassed = (client: Connection, { key, world }: Pick<Given, "key" | "world">) =>
  Effect.promise(() =>
    client.ask(Counting.Counter.at(key).trespass({ file: "/etc/hostname", url: world.place("tcp").control }))
  )

/** A host that says it is ready. */
export const started = ({ runtime, world }: Pick<Given, "runtime" | "world">) =>
  Effect.gen(function* () {
    const host = yield* Program.host(runtime, world)
    yield* host.spoke
    if (!host.stdout().startsWith('{"service":"counting"')) return yield* Effect.die(new Error(host.stderr()))
    return host
  })

export const connected = (world: World): Effect.Effect<Connection, never, Scope.Scope> => {
  const { pass, servers, user } = world.place("tcp")
  return Effect.acquireDisposable(Effect.promise(() => connect({ servers, user, pass, inboxPrefix: `_INBOX.${user}` })))
}
