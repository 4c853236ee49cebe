// Every check of the repository that needs no server. One line per check; the output of those that failed.
import { spawn } from "node:child_process"
import { performance } from "node:perf_hooks"
import { styleText } from "node:util"

// Without the language service's plugin in tsconfig the diagnostics check 0 files and exit clean.
const checkedSome = (output) => /Checked [1-9]\d* files/.test(output)

const checks = [
  { name: "format", command: ["oxfmt", "--check"] },
  { name: "lint", command: ["oxlint"] },
  { name: "boundaries", command: ["turbo", "boundaries"] },
  { name: "types", command: ["tsc", "-p", "."] },
  {
    name: "effect",
    command: ["effect-tsgo", "diagnostics", "--project", "tsconfig.json", "--format", "text"],
    holds: checkedSome
  },
  {
    name: "permissions",
    command: ["node", "--conditions=@troupe/source", "packages/cli/src/main.ts", "permissions", "--check"]
  },
  { name: "bundle", command: ["node", "--conditions=@troupe/source", "test/runtimes/src/size.ts"], shown: true },
  { name: "unit tests", command: ["vitest", "run", "--project", "unit"] },
  { name: "build", command: ["turbo", "build", "--output-logs=errors-only"] }
]

const atOnce = 2

const run = ({ command: [program, ...args], holds = () => true }) =>
  new Promise((resolve) => {
    const since = performance.now()
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" }
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text))
    const end = (code) =>
      resolve({ ok: code === 0 && holds(output), output, seconds: (performance.now() - since) / 1000 })
    child.on("error", (error) => {
      output += `${program}: ${error.code ?? error.message}`
      end(1)
    })
    child.on("close", end)
  })

const failed = []
const waiting = [...checks]

const work = async () => {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    const { ok, output, seconds } = await run(check)
    const mark = ok ? styleText("green", "ok  ") : styleText("red", "FAIL")
    process.stdout.write(
      `${mark} ${check.name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s${check.shown ? `  ${output.trim()}` : ""}\n`
    )
    if (!ok) failed.push({ check, output })
  }
}

const since = performance.now()
await Promise.all(Array.from({ length: atOnce }, work))

for (const { check, output } of failed)
  process.stdout.write(`\n--- ${check.name}: ${check.command.join(" ")}\n${output.trim()}\n`)
process.stdout.write(
  `\n${checks.length - failed.length} of ${checks.length} checks hold, ${((performance.now() - since) / 1000).toFixed(1)} s\n`
)
process.exitCode = failed.length === 0 ? 0 : 1
