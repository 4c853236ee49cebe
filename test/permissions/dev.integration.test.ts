import { spawn } from "node:child_process"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { root } from "./src/guarded.ts"

/** `troupe dev` with servers of its own, until the program has run: what it said on stderr. */
const dev = Effect.callback<string>((resume) => {
  const folder = `${root}test/permissions/src/undeclared`
  const child = spawn(
    process.execPath,
    [
      "--conditions=@troupe/source",
      `${root}packages/cli/src/main.ts`,
      "dev",
      "main.ts",
      "--then",
      "program.ts",
      "--once"
    ],
    { cwd: folder, env: { ...process.env, NATS_URL: "", DATABASE_URL: "" }, stdio: ["ignore", "ignore", "pipe"] }
  )
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
  child.once("close", (code) => resume(Effect.succeed(`${said}\nexit code ${code}`)))
  return Effect.sync(() => void child.kill("SIGKILL"))
})

it.live(
  "troupe dev runs services and callers as their own users, and says the line to add for what they do not declare",
  () =>
    Effect.gen(function* () {
      const said = yield* dev
      assert.match(said, /as cli-thief: .*Permissions Violation for Publish to "evt\.cli-bank\.Safe\.opened\.s"/)
      assert.match(
        said,
        /^troupe cli-thief tried what it does not declare: add sends: \[CliBank\.Safe\] to the part, and allow: \{ send: \[CliBank\] \}/m
      )
      assert.match(said, /TRP0303 .* · cli-thief\.Thief\.steal · .* it is not declared: add sends/)
      assert.match(
        said,
        /TRP0211 .* · cmd\.cli-thief\.Thief\.send\.t: add sends: \[CliThief\.Thief\.commands\.send\] to its Caller/
      )
      assert.match(said, /exit code 0$/)
    }),
  60_000
)
