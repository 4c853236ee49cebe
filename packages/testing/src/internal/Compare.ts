import { Turn } from "@troupe/actor"
import type { EventMessage, Message } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import type { ExpectedTimer } from "../Given.ts"
import { checked, through, type Wired } from "./Wired.ts"

/** What a test expects, untyped. */
export interface Expectation {
  readonly reply?: unknown
  readonly error?: unknown
  readonly state?: unknown
  readonly events?: ReadonlyArray<EventMessage>
  readonly sent?: ReadonlyArray<Message>
  readonly timers?: ReadonlyArray<ExpectedTimer>
  readonly cancelledTimers?: ReadonlyArray<string>
}

/** What a turn did, as JSON: so it is stored and sent, and so a diff shows it. */
export type Written = { readonly [what in keyof Expectation]: unknown }

/** Writes all that a turn wants, as the engine does before it commits; throws for what it would refuse. */
export const written = (wired: Wired, turn: Turn.Turn): Written => {
  const sent = Turn.sentBy(turn)
  const timers = Turn.timersOf(turn)
  for (const { target, to } of [...sent, ...timers.map(({ message }) => message)]) {
    if (!wired.sends.has(`${target.service}.${target.actor}`))
      throw new Error(`${wired.name} sends ${to}, which its \`sends\` does not list`)
  }
  return {
    ...(turn.error === undefined
      ? { reply: reply(wired, "the reply", turn.reply) }
      : { error: error(wired, "an error", turn.error) }),
    state: state(wired, "the state", turn.state),
    events: Turn.eventsOf(turn, wired.actor, wired.key).map((event) => emitted(wired, event)),
    sent: sent.map(addressed),
    timers: timers.map(timed),
    cancelledTimers: Turn.cancelledBy(turn)
  }
}

/** Throws with both sides when a turn did not do what is expected; vitest shows their difference. */
export const compare = (wired: Wired, seen: Written, expected: Expectation): void => {
  const actual: Record<string, unknown> = {}
  const wanted: Record<string, unknown> = {}
  // A refusal that nobody expected is never what a test means, whatever else it checks.
  if ("error" in seen && !("error" in expected)) actual["error"] = seen.error
  for (const what of ["reply", "error", "state", "events", "sent", "timers", "cancelledTimers"] as const) {
    if (!(what in expected)) continue
    if (what in seen) actual[what] = seen[what]
    wanted[what] = want(wired, expected, what)
  }
  const parts = Object.keys({ ...wanted, ...actual }).filter((what) => !Equal.equals(actual[what], wanted[what]))
  if (parts.length === 0) return
  const failure = new Error(`${wired.name}: ${parts.join(" and ")} not as expected`)
  throw Object.assign(failure, { name: "AssertionError", actual, expected: wanted, showDiff: true })
}

const want = (wired: Wired, expected: Expectation, what: keyof Expectation): unknown => {
  switch (what) {
    case "reply":
      return reply(wired, "the expected reply", expected.reply)
    case "error":
      return error(wired, "the expected error", expected.error)
    case "state":
      return state(wired, "the expected state", expected.state)
    case "events":
      return expected.events?.map((event) => emitted(wired, event))
    case "sent":
      return expected.sent?.map(addressed)
    case "timers":
      return expected.timers?.map(timed)
    case "cancelledTimers":
      return expected.cancelledTimers
  }
}

const reply = ({ name, target }: Wired, what: string, value: unknown): unknown =>
  target === undefined ? undefined : through(`${what} of ${name}`, target.reply, value).json

const error = ({ name, target }: Wired, what: string, value: unknown): unknown => {
  if (target === undefined) throw new Error(`${name}: an event cannot be refused: ${String(value)}`, { cause: value })
  if (target.error.encode(value).ok) return through(`${what} of ${name}`, target.error, value).json
  throw new Error(`${what} of ${name} is none that it declares: ${String(value)}`, { cause: value })
}

const state = ({ name, state }: Wired, what: string, value: unknown): unknown =>
  through(`${what} after ${name}`, state, value).json

const emitted = ({ events, name }: Wired, { key, payload, type }: EventMessage): unknown => {
  const wire = events.get(type)
  if (wire === undefined) throw new Error(`${type} is no event that ${name} can emit`)
  return { type, key, payload: through(`the payload of ${type}`, wire, payload).json }
}

const addressed = ({ key, payload, target, to }: Message): unknown => ({
  to,
  key: checked(to, key),
  payload: through(`the payload of ${to}`, target.payload, payload).json
})

/** Its delay as a person reads it: `15m`. */
const timed = ({
  delay,
  message,
  name
}: Pick<ExpectedTimer, "delay" | "message"> & { readonly name?: string | undefined }): unknown => ({
  ...(name === undefined ? {} : { name }),
  delay: Duration.format(Duration.fromInputUnsafe(delay)),
  ...(addressed(message) as object)
})
