// Makes a bare machine (Node.js >= 20 and npm) able to run the command given as arguments:
// a recent Node.js, the pinned pnpm and the packages, each only if missing. Then becomes that command.
import { readFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { forwardSignals, take } from "./child.mjs"
import { install } from "./dependencies.mjs"
import { Failure, ofFileSystem } from "./failure.mjs"
import * as toolchain from "./toolchain.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..")

const main = async ([command, ...args]) => {
  if (command === undefined)
    throw new Failure(
      "TRP0008",
      "nothing to run",
      "in infra/bootstrap/run.mjs",
      "no command was given",
      "use `npm start`, or `node infra/bootstrap/run.mjs COMMAND`"
    )
  forwardSignals()
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const first = [...(await toolchain.node()), ...(await toolchain.pnpm(packageManager.split("@")[1].split("+")[0]))]
  const env = {
    ...process.env,
    PATH: [...first, join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter),
    TURBO_TELEMETRY_DISABLED: "1"
  }
  await install(root, env)
  // spawn looks the command up on our own PATH.
  process.env.PATH = env.PATH
  return await take(command, args, env)
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    const failure =
      error instanceof Failure
        ? error
        : error.code !== undefined && error.path !== undefined
          ? ofFileSystem(error, error.path)
          : new Failure(
              "TRP0009",
              "the start failed",
              "in infra/bootstrap",
              `${error.message}`,
              "report it with this line"
            )
    process.stderr.write(`${failure.message}\n`)
    process.exit(1)
  }
)
