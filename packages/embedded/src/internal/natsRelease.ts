import { createHash } from "node:crypto"
import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Command from "./command.ts"

const version = "2.14.5"

// From the Dockerfile of the official image (nats-io/nats-docker, aa0caa5, 2.14.x/alpine3.22), which pins the same files.
const checksums: Record<string, readonly [file: string, sha256: string]> = {
  "linux-x64": ["linux-amd64", "5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355"],
  "linux-arm64": ["linux-arm64", "673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c"]
}

const download = (url: string): Effect.Effect<Uint8Array, string> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, { signal })
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
      return new Uint8Array(await response.arrayBuffer())
    },
    catch: (cause) =>
      cause instanceof Error && cause.cause instanceof Error && "code" in cause.cause
        ? `not reachable (${String(cause.cause.code)})`
        : `not reachable (${cause instanceof Error ? cause.message : String(cause)})`
  }).pipe(Effect.timeoutOrElse({ duration: "60 seconds", orElse: () => Effect.fail("not reachable within 60 s") }))

const fetchInto = Effect.fnUntraced(function* (folder: string): Effect.fn.Return<void, string> {
  const known = checksums[`${process.platform}-${process.arch}`]
  if (known === undefined) return yield* Effect.fail("no checksum is pinned for this platform")
  const [file, sha256] = known
  const name = `nats-server-v${version}-${file}`
  const archive = yield* download(`https://github.com/nats-io/nats-server/releases/download/v${version}/${name}.tar.gz`)
  const found = createHash("sha256").update(archive).digest("hex")
  if (found !== sha256) return yield* Effect.fail(`its checksum is ${found} instead of ${sha256}`)
  yield* Effect.sync(() => writeFileSync(join(folder, "archive.tar.gz"), archive))
  const unpacked = yield* Command.run("tar", ["-xzf", "archive.tar.gz"], { cwd: folder })
  if (!unpacked.ok) return yield* Effect.fail(unpacked.output)
  yield* Effect.try({
    try: () => {
      renameSync(join(folder, name, "nats-server"), join(folder, "nats-server"))
      rmSync(join(folder, name), { recursive: true, force: true })
      rmSync(join(folder, "archive.tar.gz"))
      chmodSync(join(folder, "nats-server"), 0o755)
      chmodSync(folder, 0o755)
    },
    catch: String
  })
})

/** The project's own release, by pinned checksum. */
export const source = { name: `release-${version}`, title: "the project's release on GitHub", fetch: fetchInto }
