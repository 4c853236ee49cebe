import { readdirSync, readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8")

for (const file of readdirSync(new URL(".", import.meta.url)).filter((name) => /^[a-z]+\.ts$/.test(name))) {
  it(`the guide shows ${file} as it is`, () => {
    assert.include(read("../sdk.md"), `\`\`\`ts\n${read(`./${file}`)}\`\`\``)
  })
}
