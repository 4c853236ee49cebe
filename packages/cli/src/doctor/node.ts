import { type Finding, fail, ok } from "./Finding.ts"

/** The oldest Node.js that Troupe runs on. */
const minimum = [22, 19] as const

export const node = (version: string = process.versions.node): Finding => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1])
    ? ok("node", `Node.js ${version}`)
    : fail("node", `Node.js ${version} is too old`, `use Node.js ${minimum.join(".")} or newer`)
}
