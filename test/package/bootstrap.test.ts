import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"

const root = fileURLToPath(new URL("../../", import.meta.url))
const bootstrap = (module: string) => import(`${root}infra/bootstrap/${module}.mjs`)

const folder = mkdtempSync(join(tmpdir(), "troupe-bootstrap-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A package whose only file says this. */
const packed = (says: string): Buffer => {
  const at = join(folder, says)
  mkdirSync(at)
  writeFileSync(join(at, "package.json"), JSON.stringify({ name: "tool", version: "1.0.0" }))
  writeFileSync(join(at, "tool"), says)
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent"], { cwd: at })
  return readFileSync(join(at, "tool-1.0.0.tgz"))
}
const integrityOf = (tarball: Buffer): string => `sha512-${createHash("sha512").update(tarball).digest("base64")}`

describe("the set-up", () => {
  let [good, served]: ReadonlyArray<Buffer> = []
  const server = createServer(({ url }, response) => {
    if (url?.endsWith(".tgz") === true) return void response.end(served)
    const { port } = server.address() as AddressInfo
    const dist = { tarball: `http://127.0.0.1:${port}/tool/-/tool-1.0.0.tgz`, integrity: integrityOf(served!) }
    const versions = { "1.0.0": { name: "tool", version: "1.0.0", dist } }
    response.end(JSON.stringify({ name: "tool", "dist-tags": { latest: "1.0.0" }, versions }))
  })
  beforeAll(async () => {
    good = packed("good")
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    vi.stubEnv("npm_config_registry", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    vi.stubEnv("npm_config_cache", join(folder, "npm"))
    vi.stubEnv("TROUPE_CACHE", join(folder, "cache"))
    vi.spyOn(process.stderr, "write").mockReturnValue(true)
  })
  afterAll(() => {
    server.close()
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
  })

  it("takes a tool with the hash that is committed, and no other, whatever the registry says", async () => {
    const { npmPackage } = await bootstrap("cache")
    const fetch = () =>
      npmPackage({ code: "TRP0003", title: "a tool", name: "tool", version: "1.0.0", integrity, file: "tool" })
    const integrity = integrityOf(good!)
    served = packed("another")
    assert.notStrictEqual(integrityOf(served), integrity)
    const error: unknown = await fetch().catch((error: unknown) => error)
    assert.match(String(error), /TRP0003 .*does not have the expected checksum/)
    assert.deepStrictEqual(readdirSync(join(folder, "cache")), [])
    served = good
    assert.strictEqual(readFileSync(join(await fetch(), "tool"), "utf8"), "good")
  }, 60_000)

  it("pins each tool that it fetches by version and hash, pnpm as package.json says", async () => {
    const pins = await bootstrap("pins")
    const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    assert.strictEqual(`pnpm@${pins.pnpm["linux-x64"].version}`, packageManager)
    for (const { integrity, version } of [...Object.values<Pin>(pins.node), ...Object.values<Pin>(pins.pnpm)]) {
      assert.match(version, /^\d+\.\d+\.\d+$/)
      assert.match(integrity, /^sha512-[\w+/]{86}==$/)
    }
  })
})

interface Pin {
  readonly version: string
  readonly integrity: string
}
