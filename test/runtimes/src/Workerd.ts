import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { binary } from "@troupe/test-world/binary"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { bundle } from "./bundle.ts"
import * as Program from "./Program.ts"

/** Of the Worker; what the platform changes later is not tested here. */
const compatibilityDate = "2026-11-01"

const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .worker ),
    ( name = "internet", network = ( allow = ["public", "private"] ) )
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:0", http = (), service = "main" ) ]
);
const worker :Workerd.Worker = (
  modules = [ ( name = "worker.js", esModule = embed "worker.js" ) ],
  compatibilityDate = "${compatibilityDate}",
  durableObjectNamespaces = [ ( className = "Keeper", uniqueKey = "keeper" ) ],
  durableObjectStorage = ( inMemory = void ),
  bindings = [ ( name = "KEEPER", durableObjectNamespace = "Keeper" ) ]
);
`

/** A Worker in workerd. */
export interface Workerd {
  /** Asks it for something, and answers the JSON that came back. */
  ask(path: string, asked: object): Promise<unknown>
  readonly log: () => string
}

/** Starts workerd with the Worker of this folder; it dies with the scope. */
export const start: Effect.Effect<Workerd, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "troupe-workerd-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  yield* Effect.promise(async () => {
    await writeFile(join(folder, "worker.js"), await bundle("worker.ts"))
    await writeFile(join(folder, "config.capnp"), config)
  })
  const program = yield* Program.run(binary("workerd"), ["serve", join(folder, "config.capnp"), "--control-fd=1"])
  yield* program.spoke
  const port = /"port":(\d+)/.exec(program.stdout())?.[1]
  if (port === undefined) return yield* Effect.die(new Error(`workerd did not start: ${program.stderr()}`))
  return {
    ask: async (path, asked) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body: JSON.stringify(asked) })
      const text = await response.text()
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
      return JSON.parse(text)
    },
    log: program.stderr
  }
})
