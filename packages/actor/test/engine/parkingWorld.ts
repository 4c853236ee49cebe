import { Actor } from "@troupe/actor"
import { assert } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type { Agenda } from "../../src/engine/Agenda.ts"
import * as Batch from "../../src/engine/Batch.ts"
import { Brake } from "../../src/engine/Brake.ts"
import * as Cache from "../../src/engine/Cache.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import { Loader } from "../../src/engine/Loader.ts"
import type { Incoming, Item } from "../../src/engine/Mailbox.ts"
import * as Parking from "../../src/engine/Parking.ts"
import * as Stored from "../../src/engine/Stored.ts"
import { incoming } from "./incoming.ts"

export class Till extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: { n: Schema.Int } }) }
}) {}
class Strict extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: { n: Schema.Int } }) },
  whenDead: "block"
}) {}
export const Shop = Contract.make("shop", { Till, Strict })

/** Numbers below 2^32, the same for the same seed (mulberry32). */
export const chances = (seed: number) => {
  let state = seed | 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface Row {
  readonly incoming: Incoming
  attempts: number
  /** Its time comes when the world says so; null: it waits behind another one, or for an operator. */
  delay: number | null
}

/** One partition: what its stream has, what Postgres has, and what its owner knows. Nothing is real but `Batch.handle`. */
export class World {
  readonly consumer: Consumer.Consumer
  readonly policy: Parking.Policy
  readonly chance: (below: number) => number
  /** Handlers of these messages fail. */
  readonly broken = new Set<number>()
  readonly stream: Array<Incoming> = []
  cursor = 0
  readonly inbox = new Map<string, Commit.InboxRow>()
  readonly parked = new Map<string, Map<number, Row>>()
  readonly dead: Array<Commit.DeadRow> = []
  /** Turns whose effects are committed, by key. */
  readonly applied = new Map<string, Array<number>>()
  private running: Array<readonly [string, number]> = []
  private known = new Map<string, Parking.Key>()
  /** Seconds that a handler takes, at most. */
  slow = 0
  /** Batches that were cut. */
  cuts = 0
  private now = 0n
  private read = 0
  private left: ReadonlyArray<Item> = []
  readonly brake = new Brake()

  constructor(chance: World["chance"], policy: Partial<Parking.Policy>, strict = false) {
    this.chance = chance
    this.policy = { ...Parking.policy, ...policy }
    const handlers = {
      pay: ({ n }: { readonly n: number }, self: { readonly key: string }) => {
        if (this.slow > 0) this.now += BigInt(this.chance(this.slow + 1)) * 1_000_000_000n
        if (this.broken.has(n)) throw new Error(`${n} is broken`)
        this.running.push([self.key, n])
      }
    }
    const options = { state: Schema.Int, initial: 0 }
    const actor = strict
      ? Actor.make(Shop.Strict, options).commands(handlers)
      : Actor.make(Shop.Till, options).commands(handlers)
    this.consumer = Consumer.ofActor(Shop, actor, 1)
  }

  /** With the same id each time; `caller` waits for the answer. */
  send(key: string, n: number, caller?: string): void {
    const id = `m-${n}`
    const [, actor] = this.consumer.name.split(".") as [string, string]
    const headers = Envelope.toHeaders({
      id,
      type: `${this.consumer.name}.pay`,
      source: "test",
      replyTo: caller === undefined ? undefined : `_INBOX.${caller}.1`
    })
    const one = incoming({ subject: `cmd.shop.0.${actor}.pay.${key}`, headers, data: JSON.stringify({ n }) })
    const seq = this.stream.length + 1
    this.stream.push({ ...one, message: { ...one.message, headers: one.message.headers, seq }, position: { seq, id } })
  }

  /** What the owner would know if it took the partition now. */
  taken(): Map<string, Parking.Key> {
    return new Map(
      [...this.parked].map(([key, rows]) => [
        key,
        {
          head: Math.min(...rows.keys()),
          next: Math.max(...rows.keys()) + 1,
          count: rows.size,
          bytes: [...rows.values()].reduce((sum, row) => sum + Stored.sizeOf(row.incoming), 0)
        }
      ])
    )
  }
  takeOver(): void {
    this.known = this.taken()
    this.left = []
    this.read = this.cursor
  }

  /** The first messages of some parked keys, but for those that wait for an operator. */
  private due(): ReadonlyArray<Incoming> {
    return [...this.parked].flatMap(([, rows]) => {
      if (this.chance(3) === 0) return []
      const page = [...rows].sort(([one], [other]) => one - other).slice(0, 1 + this.chance(4))
      const end = page.findIndex(([, { attempts, delay }]) => attempts > 0 && delay === null)
      return page.slice(0, end < 0 ? page.length : end).map(([n, { attempts, incoming }]): Incoming => ({
        stream: incoming.stream,
        message: incoming.message,
        waited: { kind: "parked", key: keyOf(incoming), n, attempts }
      }))
    })
  }

  /** One batch: what is due and what is read next; its owner may crash before the commit. */
  batch(read: number, crash = false) {
    const batch = [...this.due(), ...this.left, ...this.stream.slice(this.read, this.read + read)]
    this.read = Math.min(this.read + read, this.stream.length)
    return Effect.gen({ self: this }, function* () {
      this.running = []
      const handled = yield* this.handle(batch)
      if (crash) return void this.takeOver()
      this.commit(handled)
      return handled
    })
  }

  handle(batch: ReadonlyArray<Item>) {
    const agenda = {
      policy: this.policy,
      size: this.known.size,
      key: (token) => this.known.get(token)
    } as Partial<Agenda> as Agenda
    const fence = { consumer: 1, p: 0, token: "", n: 0 }
    const memory: Batch.Memory = {
      fence,
      pos: 0,
      cursors: { CMD_shop: { seq: this.cursor, id: "" } },
      cache: Cache.make({ entries: 100, size: 10_000 }),
      agenda,
      brake: this.brake,
      wary: 0,
      left: []
    }
    const clock = Object.assign(Object.create(Clock.Clock.defaultValue()) as Clock.Clock, {
      monotonicTimeNanosUnsafe: () => this.now
    })
    const options = { maxPayload: 1_000_000, transaction: false, check: true, watermarks: () => [] }
    return Batch.handle(this.consumer, memory, batch, options).pipe(
      Effect.provideService(
        Loader,
        Loader.of({
          load: ({ behind, ids }) =>
            Effect.succeed({
              copies: behind.flatMap(({ id, key }) =>
                [...(this.parked.get(key)?.values() ?? [])].flatMap(({ incoming: { message } }) => {
                  const headers = Object.fromEntries(message.headers)
                  const said = Stored.copyOf(message).split(" ").at(-1)!
                  return (headers["ce-id"] ?? "") === id ? [{ id, key, headers: JSON.stringify(headers), said }] : []
                })
              ),
              inbox: new Map(ids.flatMap((id) => (this.inbox.has(id) ? [[id, this.inbox.get(id)!]] : []))),
              postponed: new Set(),
              states: new Map()
            })
        })
      ),
      Effect.provideService(Db, undefined as never),
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  }

  /** As `commit_v3` does it; then what the owner knows is what one that takes over would. */
  commit({ left, parked: changes, work: { cursors, inbox, more } }: Batch.Handled): void {
    this.left = left
    if (left.length > 0) this.cuts++
    this.cursor = cursors["CMD_shop"]!.seq
    for (const row of inbox) {
      assert.isFalse(this.inbox.has(row.id), "handled twice")
      this.inbox.set(row.id, row)
    }
    for (const { key, n } of more.unparked!) {
      assert.isTrue(this.parked.get(key)!.delete(n))
      if (this.parked.get(key)!.size === 0) this.parked.delete(key)
    }
    for (const { attempts, delay, key, n, sequence } of more.parked!) {
      const rows = this.parked.get(key) ?? new Map<number, Row>()
      assert.isFalse(rows.has(n))
      this.parked.set(key, rows.set(n, { incoming: this.stream[sequence - 1]!, attempts, delay }))
    }
    for (const { attempts, delay, key, n } of more.retried!)
      Object.assign(this.parked.get(key)!.get(n)!, { attempts, delay })
    this.dead.push(...more.dead!)
    for (const [key, n] of this.running) this.applied.set(key, [...(this.applied.get(key) ?? []), n])
    for (const [token, { key }] of changes) {
      if (key === undefined) this.known.delete(token)
      else this.known.set(token, key)
    }
    const taken = this.taken()
    for (const [token, key] of this.known) {
      const { head, ...rest } = taken.get(token)!
      assert.deepStrictEqual({ ...key, head }, { head, ...rest, next: key.next })
      assert.isAtLeast(key.next, rest.next)
      if (key.head !== undefined) assert.strictEqual(key.head, head)
    }
    assert.strictEqual(this.known.size, taken.size)
  }
}

const keyOf = ({ message }: Incoming): string => message.subject.split(".")[5]!
export const numberOf = ({ body }: { readonly body: Uint8Array }): number =>
  JSON.parse(new TextDecoder().decode(body)).n
