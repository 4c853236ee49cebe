import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { until } from "@troupe/test-world"
import { binary } from "@troupe/test-world/binary"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { rolldown } from "rolldown"

/** What an edge runs on. */
export type Runtime = "deno" | "bun" | "workerd"

/** The edge of a world, in a process of its own. */
export interface EdgeProcess {
  readonly url: string
  readonly secret: string
  /** Ends it with SIGKILL, and answers whether that did it. */
  readonly kill: Effect.Effect<boolean>
  /** Starts it again where it was, and waits until it answers. */
  readonly start: Effect.Effect<void>
  readonly output: () => string
}

const conditions = "--conditions=@troupe/source"
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Starts the edge of the world of this name, and waits until it answers. It dies with the scope. */
export const start = (runtime: Runtime, name: string): Effect.Effect<EdgeProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* Effect.promise(freePort)
    const secret = `the secret of ${name}, long enough for a test`
    const [command, args] = yield* commands[runtime]({ name, port, secret })
    const url = `http://127.0.0.1:${port}/edge`
    let child: ChildProcess | undefined
    let output = ""
    const kill = Effect.callback<boolean>((resume) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null)
        return resume(Effect.succeed(false))
      child.once("close", (_, signal) => resume(Effect.succeed(signal === "SIGKILL")))
      child.kill("SIGKILL")
    })
    const started = Effect.suspend(() => {
      child = spawn(command, args, {
        cwd: file("../.."),
        env: { ...process.env, NAME: name, PORT: String(port), SECRET: secret },
        stdio: ["ignore", "pipe", "pipe"]
      })
      for (const stream of [child.stdout!, child.stderr!])
        stream.setEncoding("utf8").on("data", (text) => (output += text))
      return Effect.asVoid(
        until(
          () => fetch(url).then(({ status }) => status, String),
          (status) => status === 405
        )
      )
    })
    yield* Effect.acquireRelease(started, () => kill)
    return { url, secret, kill, start: started, output: () => output }
  })

interface Given {
  readonly name: string
  readonly port: number
  readonly secret: string
}
type Command = readonly [command: string, args: ReadonlyArray<string>]

const commands: { readonly [R in Runtime]: (given: Given) => Effect.Effect<Command, never, Scope.Scope> } = {
  deno: ({ port }) => {
    const where = ["--host", "127.0.0.1", "--port", String(port)]
    const flags = ["serve", "--no-prompt", "--allow-env=NAME,PORT,SECRET", conditions]
    return Effect.succeed([binary("deno"), [...flags, ...where, file("module.ts")]])
  },
  bun: () => Effect.succeed([binary("bun"), [conditions, file("module.ts")]]),
  workerd: (given) =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "troupe-edge-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
      )
      yield* Effect.promise(async () => {
        await writeFile(join(folder, "worker.js"), await bundled(given.name))
        await writeFile(join(folder, "config.capnp"), config(given))
      })
      return [binary("workerd"), ["serve", join(folder, "config.capnp")]]
    })
}

/** One module of all that the Worker imports, as for a browser: what is of Node only cannot be in it. */
const bundled = async (name: string): Promise<string> => {
  const build = await rolldown({
    input: file("worker.ts"),
    platform: "browser",
    resolve: { conditionNames: ["@troupe/source", "browser", "import", "default"] },
    transform: { define: { NAME: JSON.stringify(name) } },
    logLevel: "silent"
  })
  const { output } = await build.generate({ format: "esm", codeSplitting: false })
  await build.close()
  return output[0].code
}

const config = ({ port, secret }: Given): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ ( name = "main", worker = .worker ) ],
  sockets = [ ( name = "http", address = "127.0.0.1:${port}", http = (), service = "main" ) ]
);
const worker :Workerd.Worker = (
  modules = [ ( name = "worker.js", esModule = embed "worker.js" ) ],
  compatibilityDate = "2026-11-01",
  bindings = [ ( name = "SECRET", text = "${secret}" ) ]
);
`

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resolve(port))
    })
  })
