import { setTimeout as sleep } from "node:timers/promises"
import { type Connection } from "@troupe/client"
import * as fc from "fast-check"
import { Http } from "./http.ts"
import { listen } from "./listener.ts"
import { oddMessages } from "./messages.ts"
import { Pace } from "./pace.ts"
import { Publisher } from "./publisher.ts"
import { oddRequests } from "./requests.ts"
import { maxWait } from "./target.ts"
import { Valid } from "./valid.ts"

export interface Options {
  readonly seed: number
  readonly minutes: number
  readonly perSecond: { readonly messages: number; readonly requests: number }
  readonly natsUrl: string
  readonly gatewayUrl: string
  readonly client: Connection
  readonly tokens: ReadonlyArray<string>
  /** One that permits everything. */
  readonly token: string
  /** Whether it goes on: not when a process has ended. */
  readonly goesOn: () => boolean
}

/** What was sent, and what came of it. */
export interface Outcome {
  readonly messages: number
  readonly requests: number
  /** Of odd requests, by status and code. */
  readonly statuses: Readonly<Record<string, number>>
  /** Of odd messages that asked for one, by outcome and code. */
  readonly replies: Readonly<Record<string, number>>
  /** What nats-server did not take, by what it said. */
  readonly refusals: Readonly<Record<string, number>>
  readonly hangs: ReadonlyArray<string>
  readonly valid: Valid["counts"]
  readonly problems: ReadonlyArray<string>
}

const lanes = { messages: 8, requests: 16 }
/** Odd messages and requests between two valid ones. */
const between = { messages: 40, requests: 20 }
/** Each lane sends so many of these at least, however slow the machine is. */
const least = 4

/** Sends messages and requests until the time is over. Those of one lane are the same for the same seed. */
export const load = async (options: Options): Promise<Outcome> => {
  const { client, gatewayUrl, minutes, natsUrl, perSecond, seed, token, tokens } = options
  const until = performance.now() + minutes * 60_000
  const goesOn = (chunk: number): boolean => options.goesOn() && (chunk < least || performance.now() < until)
  const valid = new Valid(client)
  const paces = { messages: new Pace(perSecond.messages), requests: new Pace(perSecond.requests) }
  const statuses: Record<string, number> = {}
  const hangs: Array<string> = []
  await using publisher = new Publisher(natsUrl)
  await using listener = await listen(natsUrl)

  const validKeys = Array.from({ length: lanes.messages }, (_, lane) => `valid-${lane}`)
  const messages = oddMessages(validKeys)
  const sendMessages = async (lane: number): Promise<void> => {
    for (let chunk = 0; goesOn(chunk); chunk++) {
      const odd = fc.sample(messages, { seed: seedOf(seed, lane, chunk), numRuns: between.messages })
      await paces.messages.take(odd.length + 1)
      await publisher.publish(odd)
      await valid.message(validKeys[lane]!, chunk, lane + chunk)
    }
  }

  const requests = oddRequests(tokens)
  const sendRequests = async (lane: number): Promise<void> => {
    using http = new Http(gatewayUrl)
    for (let chunk = 0; goesOn(chunk); chunk++) {
      for (const odd of fc.sample(requests, {
        seed: seedOf(seed, lanes.messages + lane, chunk),
        numRuns: between.requests
      })) {
        await paces.requests.take(1)
        const status = await http.send(odd, (maxWait + 2) * 1_000)
        statuses[status] = (statuses[status] ?? 0) + 1
        if (status === "hang") hangs.push(odd.head.slice(0, 200))
      }
      await paces.requests.take(2)
      await valid.request(http, token, `valid-http-${lane}`, chunk)
    }
  }

  await Promise.all([
    ...Array.from({ length: lanes.messages }, (_, lane) => sendMessages(lane)),
    ...Array.from({ length: lanes.requests }, (_, lane) => sendRequests(lane))
  ])
  if (options.goesOn()) await valid.compare()
  return {
    messages: paces.messages.count,
    requests: paces.requests.count,
    statuses,
    replies: listener.replies,
    refusals: Object.fromEntries(publisher.refusals),
    hangs,
    valid: valid.counts,
    problems: valid.problems
  }
}

const seedOf = (seed: number, lane: number, chunk: number): number =>
  Math.imul(Math.imul(seed + 1, 0x9e3779b1) ^ (lane + 1), 0x85ebca6b) ^ chunk

/** Asks for the health of a process, twice a second, until `signal`; what was not well. */
export const watched = async (name: string, url: string, signal: AbortSignal): Promise<ReadonlyArray<string>> => {
  const problems: Array<string> = []
  while (!signal.aborted) {
    const response = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(2_000) }).catch(
      (cause: unknown) => cause
    )
    if (signal.aborted) break
    if (!(response instanceof Response))
      problems.push(`/livez of the ${name} did not answer in 2 s: ${String(response)}`)
    else if (response.status !== 200)
      problems.push(`/livez of the ${name}: ${response.status} ${await response.text()}`)
    else await response.arrayBuffer()
    await sleep(500, undefined, { signal }).catch(() => {})
  }
  return problems
}
