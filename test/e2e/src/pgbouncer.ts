import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo, connect } from "node:net"
import { homedir, tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** The program, and where its libraries lie. */
interface Program {
  readonly file: string
  readonly libraries: string | undefined
}

const onPath = (): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .concat("/usr/sbin")
    .map((folder) => join(folder, "pgbouncer"))
    .find((file) => existsSync(file))

/** Debian's package and the libraries that it needs, in an apt state of its own: nothing is installed, and it needs no root. */
const fetched = (folder: string): void => {
  const apt = join(folder, "apt")
  for (const part of ["lists/partial", "cache/archives/partial", "state"])
    mkdirSync(join(apt, part), { recursive: true })
  const options = [
    `Dir::State=${join(apt, "state")}`,
    `Dir::State::lists=${join(apt, "lists")}`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${join(apt, "cache")}`,
    "APT::Sandbox::User=",
    "APT::Update::Post-Invoke-Success=",
    "Acquire::Languages=none"
  ].flatMap((option) => ["-o", option])
  const run = (program: string, ...args: ReadonlyArray<string>) =>
    execFileSync(program, [...options, "-q", ...args], {
      cwd: apt,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    })
  run("apt-get", "update")
  const needs = run("apt-cache", "depends", "pgbouncer").match(/Depends: (lib\S+)/g) ?? []
  run("apt-get", "download", "pgbouncer", ...needs.map((need) => need.replace("Depends: ", "")))
  for (const file of readdirSync(apt).filter((name) => name.endsWith(".deb")))
    execFileSync("dpkg-deb", ["-x", file, "out"], { cwd: apt })
  renameSync(join(apt, "out"), join(folder, "out"))
  rmSync(apt, { recursive: true, force: true })
  chmodSync(folder, 0o755)
}

const isRoot = process.getuid?.() === 0

/** Kept between runs, beside the servers of `troupe dev`. */
const kept = (): string => {
  const own = isRoot ? "/var/cache/troupe" : join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "troupe")
  const cache = process.env["TROUPE_CACHE"] || own
  const place = join(cache, "pgbouncer")
  if (existsSync(place)) return place
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, ".fresh-"))
  try {
    fetched(fresh)
    // Another run may have been faster.
    if (!existsSync(place)) renameSync(fresh, place)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return place
}

const program = (): Program => {
  const installed = onPath()
  if (installed !== undefined) return { file: installed, libraries: undefined }
  const folder = kept()
  const libraries = ["usr/lib", "lib"].flatMap((part) => {
    const at = join(folder, "out", part)
    return existsSync(at) ? readdirSync(at).map((triple) => join(at, triple)) : []
  })
  return { file: join(folder, "out/usr/sbin/pgbouncer"), libraries: libraries.join(":") }
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/**
 * A pgbouncer in front of a database, by its url; it takes anybody and ends with the scope. `ignored` are start-up
 * parameters that it drops.
 */
export const start = (
  to: string,
  mode: "session" | "transaction" | "statement",
  ignored: ReadonlyArray<string> = []
): Effect.Effect<{ readonly url: string }, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { file, libraries } = yield* Effect.sync(program)
    const target = new URL(to)
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-pgbouncer-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const port = yield* freePort
    const database = target.pathname.slice(1)
    writeFileSync(
      join(dir, "pgbouncer.ini"),
      `[databases]
${database} = host=${target.hostname} port=${target.port} user=${target.username} password=${target.password} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = 100
max_client_conn = 200
ignore_startup_parameters = ${ignored.join(", ")}
`
    )
    // It refuses to run as root.
    const account = isRoot ? { uid: 65_534, gid: 65_534 } : {}
    chmodSync(dir, 0o755)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(file, [join(dir, "pgbouncer.ini")], {
          ...account,
          env: { ...process.env, ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }) },
          stdio: "ignore"
        })
      ),
      (child) =>
        Effect.callback<void>((resume) => {
          if (gone(child)) return resume(Effect.void)
          child.once("close", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    yield* listening(child, port)
    return { url: Object.assign(new URL(to), { hostname: "127.0.0.1", port: String(port) }).href }
  })

const gone = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const listening = (child: ChildProcess, port: number): Effect.Effect<void, unknown> =>
  Effect.callback<void, string>((resume) => {
    if (gone(child)) return resume(Effect.die(new Error("pgbouncer ended")))
    const socket = connect({ port, host: "127.0.0.1" })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.once("error", () => resume(Effect.fail("not yet")))
  }).pipe(Effect.retry(Schedule.spaced("20 millis")), Effect.timeout("20 seconds"))
