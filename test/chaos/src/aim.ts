import type { HostProcess } from "@troupe/test-world"
import type { Link } from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { name } from "./bank.ts"
import type { Slot, World } from "./world.ts"

/** A fault that could not be shown to have struck. */
export class NotFired extends Schema.TaggedError<NotFired>()("NotFired", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

/** The bank's streams. */
export const streams = [`CMD_${name}`, `EVT_${name}`] as const

/** Looks every 20 ms until something is there, 2 minutes at most. */
export const wait = <A>(what: string, look: Effect.Effect<A | undefined>): Effect.Effect<A, NotFired> =>
  look.pipe(
    Effect.repeat({ until: (seen) => seen !== undefined, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({ duration: "2 minutes", orElse: () => Effect.fail(new NotFired({ why: `no ${what}` })) })
  ) as Effect.Effect<A, NotFired>

/** The slot's host, once there is one. */
export const hostOf = (slot: Slot): Effect.Effect<HostProcess, NotFired> =>
  wait(
    "host",
    Effect.sync(() => slot.host)
  )

export const onHost = <A, E>(
  world: World,
  nth: number,
  use: (host: HostProcess, slot: Slot) => Effect.Effect<A, E>
): Effect.Effect<A, E | NotFired> => {
  const slot = world.slots[nth]!
  return slot.alone.withPermit(Effect.flatMap(hostOf(slot), (host) => use(host, slot)))
}

/** Keeps other faults from some slots; always in the same order, so that nobody waits for each other. */
export const alone = <A, E, R>(slots: ReadonlyArray<Slot>, strike: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  slots.toSorted((a, b) => b.nth - a.nth).reduce((inner, { alone }) => alone.withPermit(inner), strike)

/** Waits until a link carries a connection, lets something strike it, and mends it. */
export const onLinks = <A, E>(
  slots: ReadonlyArray<Slot>,
  server: "nats" | "postgres",
  use: (links: ReadonlyArray<Link>) => Effect.Effect<A, E>
): Effect.Effect<A, E | NotFired> => {
  const links = slots.map(({ links }) => links[server])
  const connected = wait(
    "connection",
    Effect.sync(() => (links.every((link) => link.connections() > 0) ? true : undefined))
  )
  const mend = Effect.sync(() => links.forEach((link) => link.mend()))
  return alone(slots, Effect.andThen(connected, use(links)).pipe(Effect.ensuring(mend)))
}

/** A query beside the hosts' links, again until the server answers. */
export const query = <A>(run: () => Promise<A>): Effect.Effect<A> =>
  Effect.tryPromise(run).pipe(Effect.retry(Schedule.spaced("100 millis")), Effect.orDie)

/** What a host says from now on. */
export const listen = (host: HostProcess): (() => string) => {
  const before = host.output().length
  return () => host.output().slice(before)
}
