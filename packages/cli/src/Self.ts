import { fileURLToPath } from "node:url"

/** This program's own file, to start it again as another process. */
export const main: string = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "main.ts" : "main.js", import.meta.url)
)

/** How a person types it: a checkout has it as a script, an installed package as a program. */
export const typed: string = main.endsWith(".ts") ? "npm run troupe --" : "npx troupe"

/** The flags of Node.js that this process runs under and a child needs too; a debugger's port cannot be shared. */
export const nodeFlags = (flags: ReadonlyArray<string> = process.execArgv): ReadonlyArray<string> =>
  flags.filter((flag) => !/^--(inspect|watch|test|debug)/.test(flag))
