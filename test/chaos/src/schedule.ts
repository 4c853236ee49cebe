import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export const hosts = 3
/** Accounts that may be poisoned. They are credited, and asked nothing. */
export const poisonable: readonly [string, ...Array<string>] = ["poison-1", "poison-2"]

const host = Random.nextIntBetween(0, hosts - 1)
const ms = (from: number, to: number) => Random.nextIntBetween(from, to)
const toHost = (hold: Effect.Effect<number>) => Effect.all({ host, ms: hold })
const toLink = (from: number, to: number) =>
  Effect.all({ host, server: Random.choice(["nats", "postgres"] as const), ms: ms(from, to) })

/** What each kind of fault draws. `ms` is how long it lasts; frozen and cut for longer than a lease (5 s), or not. */
const draws = {
  "kill-host": Effect.all({ host }),
  "freeze-host": toHost(ms(1_000, 9_000)),
  "end-host": Effect.all({ host }),
  "kill-nats": Effect.all({ ms: ms(0, 1_500) }),
  "kill-backend": Effect.succeed({}),
  "kill-postmaster": Effect.all({ ms: ms(0, 1_500) }),
  "terminate-backends": Effect.succeed({}),
  "cut-link": toLink(200, 7_000),
  "silence-link": toLink(1_000, 9_000),
  "slow-link": Effect.all({ link: toLink(2_000, 6_000), delay: ms(5, 60) }).pipe(
    Effect.map(({ delay, link }) => ({ ...link, delay }))
  ),
  /** `ms` is how old the copy is that comes back. */
  "set-back": Effect.all({ ms: ms(1_000, 4_000) }),
  duplicates: Effect.all({ count: ms(5, 40) }),
  "jump-clock": Effect.all({
    host,
    by: Random.choice([-3_600_000, -2_000, 2_000, 3_600_000] as const),
    ms: ms(2_000, 8_000)
  }),
  poison: Effect.all({ key: Random.choice(poisonable), ms: ms(2_000, 10_000) }),
  /** `ms` is how old the copy is that comes back. */
  "set-back-database": Effect.all({ ms: ms(3_000, 8_000) }),
  starve: Effect.all({ host, all: Random.nextBoolean, ms: ms(6_000, 12_000) }),
  /** `ms` is how long the stream of commands stays full. */
  "stream-full": Effect.all({ ms: ms(1_000, 6_000) }),
  "clock-skew": Effect.all({ host, by: Random.choice([-3_600_000, 3_600_000] as const), ms: ms(4_000, 10_000) }),
  /** `ms` is how long a leader that was killed stays away. */
  "cluster-leader": Effect.all({
    stream: Random.choice(["CMD", "EVT"] as const),
    how: Random.choice(["kill", "step-down"] as const),
    ms: ms(0, 8_000)
  }),
  "slow-db": Effect.all({ delay: Random.choice([50, 150, 500] as const), ms: ms(3_000, 8_000) }),
  wedge: Effect.all({ host })
} as const satisfies { readonly [kind: string]: Effect.Effect<object> }

type Draws = typeof draws
export type Kind = keyof Draws
/** A fault of one kind: when it begins, in ms from the start of the load, and what was drawn for it. */
export type FaultOf<K extends Kind> = { readonly at: number; readonly kind: K } & Effect.Success<Draws[K]>
export type Fault = { [K in Kind]: FaultOf<K> }[Kind]

export const kinds = Object.keys(draws) as ReadonlyArray<Kind>
/** The kinds of the first suite. A seed with these alone gives the faults that it gave before there were others. */
export const original = kinds.slice(0, kinds.indexOf("poison") + 1)

/** From the start of one fault to that of the next, on average. Some last longer: then two are there at once. */
export const gap = 3_500

/**
 * The faults of a run, all of them decided before it begins: the same arguments give the same ones. Every kind comes once
 * before any comes again, in an order of its own each time.
 */
export const make = (seed: number, duration: number, among: ReadonlyArray<Kind> = kinds): ReadonlyArray<Fault> => {
  const count = Math.max(1, Math.floor(duration / gap))
  const draw = Effect.gen(function* () {
    const drawn: Array<Fault> = []
    while (drawn.length < count) {
      for (const kind of yield* Random.shuffle(among)) {
        if (drawn.length === count) break
        const at = Math.round(((drawn.length + (yield* Random.next)) * duration) / count)
        drawn.push({ at, kind, ...(yield* draws[kind]) } as Fault)
      }
    }
    return drawn
  })
  return Effect.runSync(Random.withSeed(draw, seed))
}
