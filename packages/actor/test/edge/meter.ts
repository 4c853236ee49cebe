import { Actor } from "@troupe/actor"
import { Contract, Envelope, Key } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import { handled as inMemory } from "../engine/handled.ts"
import { incoming } from "../engine/incoming.ts"
import { Bank } from "../till.ts"

export class Broken extends Schema.TaggedError<Broken>()("Broken", { at: Schema.DateTimeUtc }) {}
class Reading extends Schema.Class<Reading>("Reading")({ at: Schema.Date, count: Schema.BigInt }) {}

class Meter extends Contract.actor({
  key: Schema.String,
  commands: {
    /** Does everything that a turn may do. */
    read: Contract.command({
      payload: { note: Schema.String },
      reply: Schema.Struct({ rolls: Schema.Array(Schema.Number), now: Schema.Number, clock: Schema.Number }),
      errors: [Broken]
    }),
    break: Contract.command({ payload: { how: Schema.String }, errors: [Broken] }),
    rest: Contract.command({})
  },
  events: {
    read: Contract.event({ note: Schema.String }).next({ note: Schema.String, reading: Reading }, ({ note }) => ({
      note,
      reading: new Reading({ at: new Date(0), count: 0n })
    })),
    rested: Contract.event()
  }
}) {}
class Other extends Contract.actor({ key: Schema.String, commands: { go: Contract.command({}) } }) {}
export const Meters = Contract.make("meters", { Meter, Other })

export const declared = Actor.make(Meters.Meter, {
  state: Reading,
  initial: { at: new Date(0), count: 0n },
  sends: [Bank.Safe]
})

/** Runs in the process of these tests. */
export const meter = declared.commands({
  *read({ note }, self) {
    const rolls = [self.random(), yield* Random.next, self.random()]
    const clock = yield* Clock.currentTimeMillis
    self.set({ at: new Date(self.now), count: self.state.count + 1n })
    self.emit.read({ note, reading: self.state })
    self.send(Bank.Safe.at(`${self.key}/é`).put({ cents: 1 }))
    self.timer("t", "1 minute", Meters.Meter.at(self.key).rest())
    self.cancelTimer("u")
    self.send(Bank.Safe.at("later").put({ cents: 2 }), { after: 5 })
    self.timer("t", "2 minutes", Meters.Meter.at(self.key).rest())
    self.emit.rested()
    return { rolls, now: self.now, clock }
  },
  *break({ how }, self) {
    self.emit.rested()
    if (how === "refuse") return yield* new Broken({ at: yield* dateOf(self.now) })
    if (how === "fail") self.fail(new Broken({ at: yield* dateOf(self.now) }))
    if (how === "nap") yield* Effect.sleep("600 millis")
    if (how === "throw") throw new Error("broken on purpose")
    if (how === "undeclared") return yield* Effect.fail(new Error("no error of the contract") as never)
    if (how === "nul") return yield* Effect.fail(`\0${"x".repeat(3_000)}` as never)
    if (how === "junk") self.send(undefined as never)
    if (how === "event") self.emit.read({ note: 1 } as never)
    if (how === "command") self.send(Meters.Other.at("o").go() as never)
    if (how === "key") self.send(Bank.Safe.at("").put({ cents: 1 }))
    if (how === "payload") self.send(Bank.Safe.at("s").put({ cents: 0.5 }))
    if (how === "state") self.set({ at: new Date(0), count: 1 } as never)
    if (how === "huge") self.emit.read({ note: "x".repeat(32 * 1024 ** 2), reading: new Reading(self.state) })
    if (how === "large") self.emit.read({ note: "x".repeat(1_100_000), reading: new Reading(self.state) })
  },
  rest: () => {}
})
const dateOf = (now: number) => Schema.decodeUnknownEffect(Schema.DateTimeUtcFromMillis)(now).pipe(Effect.orDie)

export interface Said {
  readonly id: string
  readonly key: string
  readonly command: string
  readonly payload: object
}

/** Runs one batch of a partition in memory: what it would commit, or why it would not. */
export const handled = (actor: Actor.AnyActor | Actor.AnyRemote, said: ReadonlyArray<Said>) => {
  const consumer = Consumer.ofActor(Meters, actor, 1)
  const items = said.map(({ command, id, key, payload }) =>
    incoming({
      subject: `cmd.meters.0.Meter.${command}.${Key.encode(key)}`,
      headers: Envelope.toHeaders({
        id,
        type: `meters.Meter.${command}`,
        source: "test",
        time: "2026-01-01T00:00:00.000Z",
        replyTo: "_INBOX.test.1"
      }),
      data: JSON.stringify(payload)
    })
  )
  return inMemory(consumer, items)
}
