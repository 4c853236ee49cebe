import { readFileSync } from "node:fs"

/** The version in this package's package.json: the only place that has it. */
export const version: string = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version

/** `troupe --version` in words, or as JSON. */
export const text = (json: boolean): string =>
  json ? JSON.stringify({ troupe: version, node: process.versions.node }) : `troupe ${version}`
