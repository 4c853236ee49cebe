import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Failure, ofFileSystem } from "./failure.mjs"
import { say } from "./progress.mjs"

const beat = 2_000
const stale = 15_000
const patience = 15 * 60_000

const attempt = (run) => {
  try {
    return run()
  } catch {
    return undefined
  }
}

const alive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === "EPERM"
  }
}

// The holder touches its lock every 2 s, so one that was killed is told from a slow one, across machines too.
const abandoned = (lock) => {
  const touched = attempt(() => statSync(lock).mtimeMs)
  if (touched === undefined) return false
  const owner = attempt(() => JSON.parse(readFileSync(join(lock, "owner.json"), "utf8")))
  if (owner && owner.host === hostname() && !alive(owner.pid)) return true
  return Date.now() - touched > stale
}

const make = (folder) => {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if (error.code === "EEXIST") return false
    throw ofFileSystem(error, folder)
  }
}

// Only one may remove an abandoned lock, or two could each remove the other's new one.
const breakAbandoned = (lock) => {
  const breaking = `${lock}.breaking`
  if (!make(breaking)) {
    const since = attempt(() => statSync(breaking).mtimeMs)
    if (since !== undefined && Date.now() - since > stale) rmSync(breaking, { recursive: true, force: true })
    return
  }
  if (abandoned(lock)) rmSync(lock, { recursive: true, force: true })
  rmSync(breaking, { recursive: true, force: true })
}

/** Runs `run` while no other process does so under the same lock folder. */
export const withLock = async (lock, what, run) => {
  const since = performance.now()
  let told = false
  try {
    mkdirSync(dirname(lock), { recursive: true })
  } catch (error) {
    throw ofFileSystem(error, dirname(lock))
  }
  while (!make(lock)) {
    if (abandoned(lock)) {
      breakAbandoned(lock)
      continue
    }
    if (!told) say(`another start is ${what}, waiting for it`)
    told = true
    if (performance.now() - since > patience) {
      throw new Failure(
        "TRP0006",
        "gave up waiting",
        `for another start that is ${what}`,
        "it has not finished in 15 minutes",
        `end it, or remove ${lock}`
      )
    }
    await sleep(100)
  }
  const release = () => rmSync(lock, { recursive: true, force: true })
  const beating = setInterval(() => attempt(() => utimesSync(lock, new Date(), new Date())), beat)
  process.on("exit", release)
  try {
    writeFileSync(join(lock, "owner.json"), JSON.stringify({ pid: process.pid, host: hostname() }))
    return await run()
  } finally {
    clearInterval(beating)
    process.off("exit", release)
    release()
  }
}
