// The thread beside the event loop of a host: its heartbeat and lease go on while the loop computes, and it sees when the loop
// stands still. Started by Thread.ts. It loads nothing but postgres.js and files that load nothing, so that it starts fast.
import { writeSync } from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import * as Ownership from "../Ownership.ts"
import * as Life from "./Life.ts"
import * as Memory from "./Memory.ts"
import type { Message, Shown } from "./Slots.ts"
import type { Given, Names, Said, Told } from "./Thread.ts"
import * as Watch from "./Watch.ts"

const { bounds, heartbeat, json, line, memory, url } = workerData as Given

const turns = Memory.turns(memory)
const board = Memory.board(memory)
const able = Memory.able(memory)
let life: { readonly host: Ownership.Host; readonly now: Life.Life } | undefined
let names: Names = new Map()
/** What is noted because the loop stands. */
let noted: ReadonlyArray<Message> = []

const port = parentPort!
const say = (said: Said): void => port.postMessage(said)

const join = async (n: number, host: Ownership.Host): Promise<void> => {
  const old = life
  noted = []
  let joined = false
  const now = Life.begin({
    url,
    host,
    heartbeat,
    clock: turns.clock,
    able: able.is,
    lease: Memory.renewal(memory, host.lease, turns.clock),
    over: (why) => {
      if (life?.now === now) life = undefined
      if (joined) say({ over: n, why })
    }
  })
  life = { host, now }
  await old?.now.end(0).catch(() => {})
  try {
    await now.joined
    joined = true
    say({ joined: n })
  } catch (error) {
    if (life?.now === now) life = undefined
    say({ failed: n, why: Life.said(error) })
  }
}

/** Notes messages, for `patience` ms at most. True: they are noted. */
const note = async (messages: ReadonlyArray<Message>, patience: number, strikes = 0): Promise<boolean> => {
  if (life === undefined || messages.length === 0) return messages.length === 0
  const { host, now } = life
  const alone = messages.length === 1
  try {
    const suspects = { host: host.id, by: "watch", messages } as const
    await Life.within(patience, Ownership.suspect(now.sql, suspects, { alone, strikes: alone ? strikes : 0 }))
    return true
  } catch {
    return false
  }
}

/** The loop went on: what was noted has ended well, or will show again. */
const forget = async (messages: ReadonlyArray<Message>): Promise<void> => {
  if (life === undefined || messages.length === 0) return
  const { host, now } = life
  // Rows that stay are forgotten when this host takes or gives back their partition.
  await Ownership.unsuspect(now.sql, { host: host.id, by: "watch", messages }).catch(() => {})
}

const shownAtMost = 20
const shown = (messages: ReadonlyArray<Message>): string => {
  const some = messages
    .slice(0, shownAtMost)
    .map(({ consumer, p, what }) => `${what} (consumer ${names.get(consumer) ?? consumer}, partition ${p})`)
  const more = messages.length - some.length
  if (more > 0) some.push(`and ${more} more`)
  return messages.length === 0
    ? "no message ran"
    : `while ${messages.length === 1 ? "this ran" : "one of these ran"}: ${some.join("; ")}`
}

/** The line as Effect's JSON logger has it. */
const asJson = (message: string): string =>
  JSON.stringify({ message, level: "FATAL", timestamp: new Date().toISOString(), annotations: {}, spans: {} })

/** Twice a host's end: the message that it ran alone, from its beginning on, need not end another one. */
const certain = 2
/** What began before may only wait, while something computes that is shown nowhere: a timer that another message left. */
const strikesOf = ([first]: ReadonlyArray<Shown>): number => (first?.waited === false ? certain : 0)

const endProcess = async (stood: string): Promise<void> => {
  clearInterval(looking)
  const messages = board.shown()
  try {
    const message = line.replace("{messages}", () => `it stood for ${stood}, ${shown(messages)}`)
    writeSync(2, `${json ? asJson(message) : message}\n`)
  } catch {
    // Nobody reads what this process says: it ends all the same.
  }
  await note(messages, 2_000, strikesOf(messages))
  process.kill(process.pid, "SIGKILL")
}

/** Of this process, without this thread, in ms. */
const cpuTime = (): number => {
  const all = process.cpuUsage()
  // On Node.js 23.9 and newer; elsewhere this thread counts as well, with next to nothing.
  const own = process.threadCpuUsage?.() ?? { user: 0, system: 0 }
  return (all.user + all.system - own.user - own.system) / 1_000
}

const watch = Watch.make(bounds)
const same = (a: ReadonlyArray<Message>, b: ReadonlyArray<Message>): boolean =>
  a.length === b.length &&
  a.every(({ consumer, id, p }, i) => b[i]!.id === id && b[i]!.p === p && b[i]!.consumer === consumer)

const look = (): void => {
  turns.clock()
  const words = Memory.asked(memory)
  if (words !== undefined) void note(words.messages, 2_000).then(words.answer)
  const { cpu, state, stood } = watch(turns.count(), performance.now(), cpuTime())
  if (state === "over") return void endProcess(`${(stood / 1_000).toFixed(1)} s (${(cpu / 1_000).toFixed(1)} s of CPU)`)
  const now = state === "stands" ? board.shown() : []
  if (same(noted, now)) return
  const before = noted
  noted = now
  // One after the other, on one connection.
  void forget(before).then(() => note(now, 2_000))
}
const looking = setInterval(look, Watch.interval)

port.on("message", (told: Told) => {
  if ("join" in told) {
    names = told.names
    return void join(told.join, told.host)
  }
  clearInterval(looking)
  void (async () => {
    await life?.now.end(1).catch(() => {})
    process.exit()
  })()
})
