import { spawn } from "node:child_process"
import { constants } from "node:os"
import { Failure } from "./failure.mjs"

const signals = ["SIGINT", "SIGTERM", "SIGHUP"]
let current

// Ctrl-C reaches the whole foreground group, so a child on a terminal has had its SIGINT already.
const forward = (signal) => {
  if (current === undefined) process.exit(128 + constants.signals[signal])
  else if (!(signal === "SIGINT" && process.stdin.isTTY)) current.kill(signal)
}

// npm and pnpm that are killed leave their script behind; the servers that it started must not stay.
const watchParent = () => {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    forward("SIGTERM")
  }, 500)
  watch.unref()
}

/** From now on signals go to the child that is running; without one they end this process. */
export const forwardSignals = () => {
  signals.forEach((signal) => process.on(signal, () => forward(signal)))
  if (process.env.npm_lifecycle_event !== undefined) watchParent()
}

const ended = (child) =>
  new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal]))
  })

/** Runs a tool quietly; its output is kept for the message if it fails. A signal in between ends us too. */
export const quiet = async (command, args, options) => {
  const child = spawn(command, args, {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32"
  })
  let output = ""
  let interrupted
  const note = (signal) => (interrupted = signal)
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output = (output + text).slice(-64_000)))
  signals.forEach((signal) => process.on(signal, note))
  current = child
  try {
    const code = await ended(child).catch((error) => ((output += error.code ?? error.message), 127))
    if (interrupted !== undefined) process.exit(128 + constants.signals[interrupted])
    return { code, output }
  } finally {
    current = undefined
    signals.forEach((signal) => process.off(signal, note))
  }
}

/** Runs the real command with our terminal and resolves with its exit code (128 + signal when a signal ended it). */
export const take = async (command, args, env) => {
  const child = spawn(command, args, { env, stdio: "inherit", shell: process.platform === "win32" })
  current = child
  try {
    return await ended(child)
  } catch (error) {
    throw new Failure(
      "TRP0007",
      "could not start",
      command,
      error.code === "ENOENT" ? "there is no such program" : error.message,
      "remove node_modules and run it again"
    )
  } finally {
    current = undefined
  }
}
