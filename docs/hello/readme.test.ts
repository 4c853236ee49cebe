import { readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8")

for (const file of ["hello.ts", "call.ts"]) {
  it(`the README shows ${file} as it is`, () => {
    assert.include(read("../../README.md"), `\`\`\`ts\n${read(`./${file}`)}\`\`\``)
  })
}
