#!/usr/bin/env node
import * as CompileCache from "./CompileCache.ts"
import * as Version from "./Version.ts"

const args = process.argv.slice(2)
const asksVersion = args.some((arg) => arg === "--version" || arg === "-v")

// The only question that needs none of the rest.
if (asksVersion && args.every((arg) => ["--version", "-v", "--json"].includes(arg))) {
  console.log(Version.text(args.includes("--json")))
} else {
  CompileCache.enable()
  const { start } = await import("./start.ts")
  start(args)
}
