import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as World from "./src/world.ts"

const adminUrl = process.env["DATABASE_URL"] ?? "DATABASE_URL is not set"

const get = async (host: World.HostProcess, path: "livez" | "readyz") => {
  const response = await fetch(`${host.url}/${path}`)
  const { trouble } = (await response.json()) as { readonly trouble: ReadonlyArray<string> }
  return { status: response.status, trouble }
}

const says = (host: World.HostProcess, what: RegExp) =>
  World.until(
    async () => host.output(),
    (output) => what.test(output)
  )

/** A scope to close early; closed with the test's own at the latest. */
const scope = Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))

it.live(
  "a host without its nats-server is alive and not ready, until it is back",
  () =>
    Effect.gen(function* () {
      const nats = yield* NatsServer.start()
      const world = yield* World.on({ natsUrl: nats.url, adminUrl })
      const host = yield* world.start()
      assert.deepStrictEqual(yield* Effect.promise(() => get(host, "readyz")), { status: 200, trouble: [] })
      yield* nats.kill("SIGKILL")
      const gone = yield* World.until(
        () => get(host, "readyz"),
        ({ status }) => status === 503
      )
      assert.match(gone.trouble.join("\n"), /^TRP0401 .* · the connection is lost, .*check NATS_URL[^\n]*$/)
      yield* says(host, /WARN.* TRP0401 .* · the connection is lost/)
      assert.strictEqual((yield* Effect.promise(() => get(host, "livez"))).status, 200)
      yield* nats.restart
      yield* World.until(
        () => get(host, "readyz"),
        ({ status }) => status === 200
      )
      yield* says(host, /INFO.* NATS, nats:\S+, is there again after \d+ s/)
      assert.notInclude(host.output(), "TRP0404")
      const reply = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" })
      assert.strictEqual(yield* Effect.provide(reply, world.client), 1)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a nats-server that comes back and refuses the host for good makes it dead, so that somebody starts it anew",
  () =>
    Effect.gen(function* () {
      const dir = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-nats-"))),
        (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
      )
      const first = yield* scope
      const { port, url } = yield* Scope.provide(NatsServer.start({ dir }), first)
      const world = yield* World.on({ natsUrl: url, adminUrl })
      const host = yield* world.start()
      assert.strictEqual((yield* Effect.promise(() => get(host, "livez"))).status, 200)
      yield* Scope.close(first, Exit.void)
      const config = `authorization { user: "u", password: "another" }`
      const second = yield* scope
      yield* Scope.provide(NatsServer.start({ dir, port, config }), second)
      const dead = yield* World.until(
        () => get(host, "livez"),
        ({ status }) => status === 503
      )
      assert.match(dead.trouble[0] ?? "", /closed for good/)
      yield* Scope.close(second, Exit.void)
      assert.strictEqual((yield* Effect.promise(() => get(host, "livez"))).status, 503)
      assert.strictEqual((yield* Effect.promise(() => get(host, "readyz"))).status, 503)
    }).pipe(Effect.scoped),
  60_000
)
