import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as AptSource from "./aptSource.ts"
import * as Command from "./command.ts"

const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "")

const inFolder = (folder: string, ending: string): Array<string> =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(ending))
        .toSorted()
        .map((name) => read(join(folder, name)))
    : []

const archive = Effect.sync((): AptSource.Source | undefined => {
  const release = read("/etc/os-release")
  if (!/^ID=debian$/m.test(release)) return undefined
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(release)?.[1] ?? "stable"
  const sources = [
    ...inFolder("/etc/apt/sources.list.d", ".sources").flatMap(AptSource.parseStanzas),
    ...[read("/etc/apt/sources.list"), ...inFolder("/etc/apt/sources.list.d", ".list")].flatMap(AptSource.parseLines)
  ]
  return sources.find(
    ({ components, suites }) =>
      components.includes("main") &&
      suites.some((suite) => [codename, "stable", "testing", "sid", "unstable"].includes(suite))
  )
})

// apt's own complaint, without the addresses that it prints: a mirror may be private.
const complaint = (output: string): string =>
  output
    .split("\n")
    .filter((line) => /^[EW]:/.test(line))
    .slice(0, 2)
    .join(" ")
    .replace(/\S+:\/\/\S+/g, "<mirror>") || output.slice(-200)

const fetchInto = Effect.fnUntraced(function* (folder: string): Effect.fn.Return<void, string> {
  const found = yield* archive
  if (found === undefined) return yield* Effect.fail("this machine has no Debian archive among its apt sources")
  const apt = join(folder, "apt")
  yield* Effect.try({
    try: () => {
      for (const part of ["lists/partial", "cache/archives/partial", "state", "root"])
        mkdirSync(join(apt, part), { recursive: true })
      writeFileSync(join(apt, "sid.sources"), AptSource.format({ ...found, suites: ["sid"], components: ["main"] }))
    },
    catch: String
  })
  const options = [
    `Dir::Etc::sourcelist=${join(apt, "sid.sources")}`,
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
    `Dir::State=${join(apt, "state")}`,
    `Dir::State::lists=${join(apt, "lists")}`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${join(apt, "cache")}`,
    "APT::Sandbox::User=",
    "APT::Update::Post-Invoke-Success=",
    "Acquire::Languages=none",
    "Acquire::PDiffs=false",
    "Acquire::Retries=1",
    "Acquire::http::Timeout=20"
  ].flatMap((option) => ["-o", option])
  for (const args of [
    ["-q", "update"],
    ["-q", "download", "nats-server"]
  ]) {
    const { ok, output } = yield* Command.run("apt-get", [...options, ...args], {
      cwd: join(apt, "root"),
      env: { ...process.env, LC_ALL: "C" },
      timeout: 180_000
    })
    if (!ok) return yield* Effect.fail(complaint(output))
  }
  const archives = yield* Effect.sync(() => readdirSync(join(apt, "root")).filter((name) => name.endsWith(".deb")))
  if (archives[0] === undefined) return yield* Effect.fail("apt-get download left no package")
  const unpacked = yield* Command.run("dpkg-deb", ["-x", archives[0], "out"], { cwd: join(apt, "root") })
  if (!unpacked.ok) return yield* Effect.fail(unpacked.output)
  yield* Effect.try({
    try: () => {
      const out = join(apt, "root", "out", "usr")
      const file = ["sbin", "bin"].map((name) => join(out, name, "nats-server")).find((path) => existsSync(path))
      if (file === undefined) throw new Error("the package holds no nats-server")
      renameSync(file, join(folder, "nats-server"))
      rmSync(apt, { recursive: true, force: true })
      chmodSync(join(folder, "nats-server"), 0o755)
      chmodSync(folder, 0o755)
    },
    catch: String
  })
})

/**
 * Debian's package from its newest suite, by the machine's own mirror and keyring, in an apt state of its own:
 * nothing is installed, and it needs no root.
 */
export const source = { name: "debian-sid", title: "Debian's package from sid", fetch: fetchInto }
