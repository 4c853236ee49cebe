import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { Codes } from "@troupe/contract"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** Every source file that may report an error. */
const sources = [
  "infra/bootstrap",
  ...readdirSync(join(root, "packages")).map((name) => `packages/${name}/src`)
].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith("Codes.ts"))
    .map((file) => readFileSync(join(root, folder, file), "utf8").replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, ""))
)

it("every code that is reported is in the table, and every code of the table is reported somewhere", () => {
  const used = new Set(sources.flatMap((source) => source.match(/TRP\d{4}/g) ?? []))
  assert.deepStrictEqual([...used].sort(), Object.keys(Codes.codes).sort())
})
