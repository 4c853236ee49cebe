import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, resolve } from "node:path"
import { assert, describe, it } from "@effect/vitest"

/** What a module imports at run time. Types are erased: `import type` and `type` names do not count. */
const importsOf = (file: string): ReadonlyArray<string> => {
  const text = readFileSync(file, "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "")
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(?!type\b)([^"';]*?from\s*)?["']([^"']+)["']|(?:import|require)\(\s*["']([^"']+)["']\s*\)/g
  )
  return [...found].flatMap(([, names, from, called]) => {
    const inBraces = names?.match(/^\{([^}]*)\}\s*from\s*$/)?.[1]
    const typesOnly = inBraces?.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type "))
    return typesOnly === true ? [] : [from ?? called ?? ""]
  })
}

/** Every module that loading `file` loads, with who asks for it first. Follows sources of ours, and what packages ship. */
const graph = (file: string): ReadonlyMap<string, string> => {
  const seen = new Map([[file, "-"]])
  for (const [module] of seen) {
    if (module.startsWith("node:") || module.endsWith(".json")) continue
    for (const name of importsOf(module)) {
      const found = locate(name, module)
      if (!seen.has(found)) seen.set(found, module)
    }
  }
  return seen
}

const locate = (name: string, from: string): string => {
  if (name.startsWith("node:")) return name
  const [, own, entry = "."] = /^@troupe\/([a-z]+)(?:\/(\w+))?$/.exec(name) ?? []
  if (own !== undefined) return resolve(packages, own, "src", entry, "index.ts")
  const require = createRequire(from)
  if (require.resolve.paths(name) === null) return `node:${name}`
  return name.startsWith(".") && name.endsWith(".ts") ? resolve(dirname(from), name) : require.resolve(name)
}

const packages = resolve(import.meta.dirname, "../../packages")

describe.each([
  "actor/src/edge/index.ts",
  "actor/src/index.ts",
  "contract/src/index.ts",
  "contract/src/document/index.ts",
  "client/src/index.ts",
  "gateway/src/index.ts"
])("packages/%s", (entry) => {
  const modules = graph(resolve(packages, entry))

  it("is followed to its end", () => assert.isAbove(modules.size, 100))

  it("loads nothing of Node", () => {
    // tweetnacl, which signs for NATS, asks for it where there is no Web Crypto, and there only.
    const known = (module: string, from: string) => module === "node:crypto" && from.includes("/tweetnacl/")
    const node = [...modules].filter(([module, from]) => /^node:|transport-node/.test(module) && !known(module, from))
    assert.deepStrictEqual(node, [])
  })

  it("loads Effect by module path, not as a whole", () => {
    const barrels = [...modules].filter(([module]) => /\/effect\/dist\/(schema\/|crypto\/)?index\.js$/.test(module))
    assert.deepStrictEqual(barrels, [])
  })
})

describe("packages/client/src/node.ts", () => {
  it("is the entry that loads Node, so that this test would see it", () => {
    const modules = graph(resolve(packages, "client/src/node.ts"))
    assert.isTrue(modules.has("node:net"))
  })
})
