import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type postgres from "postgres"
import { Migrations } from "@troupe/postgres"
import { Commit, Ownership } from "@troupe/postgres/internal"
import { database } from "./database.ts"

/** A migrated database of its own, and two clients of it: two hosts. */
const hosts = Effect.map(database, ({ other, sql, url }) => ({ url, one: sql, two: other }))

const work = (fence: Commit.Fence, more: Partial<Commit.Work> = {}): Commit.Work => ({
  fence,
  pos: 0,
  cursors: {},
  inbox: [],
  states: [],
  outbox: [],
  more: {},
  bytes: 0,
  ...more
})
/** Commits one work. */
const verdict = async (sql: postgres.Sql, one: Commit.Work) => (await Commit.commit(sql, [one]))(one.fence)
const take = async (sql: postgres.Sql, consumer: number, partitions: ReadonlyArray<number>) =>
  (await Ownership.take(sql, consumer, partitions, { id: crypto.randomUUID(), contract: 1 })).map(({ fence }) => fence)

describe("the fence", () => {
  it.live("refuses an owner whose partition was taken, and writes nothing of its work", () =>
    Effect.gen(function* () {
      const { one, two } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [zombie, kept] = await take(one, consumer, [0, 1])
        await take(two, consumer, [0])
        const row = { id: crypto.randomUUID(), outcome: null, body: null, hash: null, pos: null }
        const state = { key: "k", version: 1, shape: 1, body: "1" }
        const verdictOf = await Commit.commit(one, [
          work(zombie!, { inbox: [row], states: [state] }),
          work(kept!, { inbox: [{ ...row, id: crypto.randomUUID() }], states: [{ ...state, key: "other" }] })
        ])
        assert.strictEqual(verdictOf(zombie!), "fenced")
        assert.strictEqual(verdictOf(kept!), "committed")
        assert.deepStrictEqual(
          (await one`select p from troupe.inbox`).map((row) => row["p"]),
          [1]
        )
        assert.deepStrictEqual(
          (await one`select key from troupe.state`).map((row) => row["key"]),
          ["other"]
        )
      })
    }).pipe(Effect.scoped)
  )

  it.live("refuses an owner that does not know the newest mark, even with the right token", () =>
    Effect.gen(function* () {
      const { one } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [fence] = await take(one, consumer, [0])
        assert.strictEqual(await verdict(one, work(fence!)), "committed")
        assert.strictEqual(await verdict(one, work(fence!)), "fenced", "the same mark twice")
        assert.strictEqual(await verdict(one, work({ ...fence!, n: fence!.n + 2 })), "fenced", "a mark that jumps")
        assert.strictEqual(await verdict(one, work({ ...fence!, n: fence!.n + 1 })), "committed")
        assert.strictEqual((await one`select from troupe.mark`).length, 2, "the last two marks are kept")
      })
    }).pipe(Effect.scoped)
  )

  it.live(
    "lets exactly one of two committers through that race for the same mark",
    () =>
      Effect.gen(function* () {
        const { one, two } = yield* hosts
        yield* Effect.promise(async () => {
          const consumer = (await Ownership.consumer(one, "x.X", 4))!
          for (let round = 0; round < 100; round++) {
            const fences = await take(one, consumer, [0, 1, 2, 3])
            const works = fences.map((fence) => work(fence, { pos: round }))
            // The other way round: a lock order of their own would deadlock.
            const [a, b] = await Promise.all([Commit.commit(one, works), Commit.commit(two, works.toReversed())])
            for (const fence of fences) {
              const winners = [a, b].filter((verdictOf) => verdictOf(fence) === "committed").length
              assert.strictEqual(winners, 1, `round ${round}, partition ${fence.p}`)
            }
          }
        })
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "holds in a war of owners: no mark is committed twice, none is skipped",
    () =>
      Effect.gen(function* () {
        const { one, two } = yield* hosts
        const committed: Array<string> = []
        const own = (sql: postgres.Sql, consumer: number) =>
          Effect.promise(async () => {
            const conquer = async () => {
              // While the other one commits its row is locked.
              while (true) for (const fence of await take(sql, consumer, [0])) return fence
            }
            let fence = await conquer()
            for (let i = 0; i < 200; i++) {
              const row = { id: crypto.randomUUID(), outcome: null, body: null, hash: null, pos: null }
              if ((await verdict(sql, work(fence, { inbox: [row] }))) === "committed") {
                committed.push(`${fence.n + 1}`)
                fence = { consumer, p: 0, token: fence.token, n: fence.n + 1 }
              } else {
                fence = await conquer()
              }
            }
          })
        const consumer = (yield* Effect.promise(() => Ownership.consumer(one, "x.X", 1)))!
        yield* Effect.all([own(one, consumer), own(two, consumer)], { concurrency: 2 })
        const [row] = yield* Effect.promise(
          () => one`select max(n)::int as n, (select count(*)::int from troupe.inbox) as inbox from troupe.mark`
        )
        assert.strictEqual(new Set(committed).size, committed.length, "no mark twice")
        assert.strictEqual(row!["n"], committed.length, "no mark skipped")
        assert.strictEqual(row!["inbox"], committed.length, "nothing of a refused work")
        assert.isBelow(committed.length, 400, "the war was fought")
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("a commit", () => {
  it.live("of a message that was handled before writes nothing of its partition, and says so", () =>
    Effect.gen(function* () {
      const { one } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [first, second] = await take(one, consumer, [0, 1])
        const row = { id: crypto.randomUUID(), outcome: "reply", body: "1", hash: null, pos: null }
        assert.strictEqual(await verdict(one, work(first!, { inbox: [row] })), "committed")
        const again = { ...first!, n: first!.n + 1 }
        const fresh = { ...row, id: crypto.randomUUID() }
        const verdictOf = await Commit.commit(one, [
          work(again, { inbox: [fresh, row], states: [{ key: "k", version: 1, shape: 1, body: "1" }] }),
          work(second!, { inbox: [row] })
        ])
        assert.strictEqual(verdictOf(again), "repeated")
        assert.strictEqual(verdictOf(second!), "committed", "ids are known per partition")
        assert.strictEqual((await one`select from troupe.inbox`).length, 2)
        assert.strictEqual((await one`select from troupe.state`).length, 0)
        assert.strictEqual(await verdict(one, work(again, { inbox: [fresh] })), "committed", "the mark did not move")
      })
    }).pipe(Effect.scoped)
  )

  it.live("keeps where the events of a turn stand, beside older code that commits without it", () =>
    Effect.gen(function* () {
      const { one, two } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [first, second] = await take(one, consumer, [0, 1])
        const inbox = [5, 0, null].map((pos) => ({
          id: crypto.randomUUID(),
          outcome: "reply",
          body: "",
          hash: null,
          pos
        }))
        assert.strictEqual(await verdict(one, work(first!, { inbox })), "committed")
        const [older] = await two`select troupe.commit_v2(
          ${[Commit.numbered(second!)]}::int[], ${[second!.token]}::uuid[], '{0}', '{0}', '{"{}"}',
          ${[Commit.numbered(second!)]}::int[], ${[crypto.randomUUID()]}::uuid[], '{reply}', '{""}', '{null}',
          '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', null) as ok`
        assert.deepStrictEqual(older!["ok"], [Commit.numbered(second!)])
        const rows = await one`select pos from troupe.inbox order by p, pos`
        assert.deepStrictEqual(
          rows.map(({ pos }) => pos),
          ["0", "5", null, null]
        )
      })
    }).pipe(Effect.scoped)
  )

  it.live("raises when a state is not of the version that was loaded, and keeps nothing", () =>
    Effect.gen(function* () {
      const { one } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [fence] = await take(one, consumer, [0])
        const state = (version: number, body: string) => ({ states: [{ key: "k", version, shape: 1, body }] })
        const next = { ...fence!, n: fence!.n + 1 }
        const lost = await Commit.commit(one, [work(fence!, state(2, "lost"))]).catch((e) => e)
        assert.strictEqual(lost.code, "TR001", "a key that was written before is gone")
        assert.strictEqual(await verdict(one, work(fence!, state(1, "1"))), "committed")
        const refused = await Commit.commit(one, [work(next, state(1, "2"))]).catch((e) => e)
        assert.strictEqual(refused.code, "TR001")
        assert.strictEqual((await one`select body from troupe.state`)[0]!["body"], "1")
        assert.strictEqual((await one`select max(n)::int as n from troupe.mark`)[0]!["n"], 1)
      })
    }).pipe(Effect.scoped)
  )

  it.live("carries any text: quotes, braces, commas, null characters in JSON, bytes of a dead letter", () =>
    Effect.gen(function* () {
      const { one } = yield* hosts
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(one, "x.X", 4))!
        const [fence] = await take(one, consumer, [3])
        const body = JSON.stringify({ text: `{"a",\\'null'} \0 \u2028 🎭`, nothing: null })
        const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
        await Commit.commit(one, [
          work(fence!, {
            cursors: { CMD_x: { seq: 7, id: `"{,}\\` } },
            inbox: [
              { id: crypto.randomUUID(), outcome: "reply", body, hash: null, pos: null },
              { id: crypto.randomUUID(), outcome: null, body: "null", hash: "", pos: 2 ** 40 }
            ],
            outbox: [{ pos: 1, stream: "S", id: crypto.randomUUID(), subject: "a.b", headers: body, body }],
            more: {
              dead: [
                {
                  key: null,
                  message: "NULL",
                  origin: null,
                  stream: "S",
                  sequence: 1,
                  subject: "",
                  headers: body,
                  body: bytes,
                  code: "c",
                  reason: "r"
                }
              ],
              timers: [
                {
                  key: "k",
                  name: "n",
                  delay: 1,
                  id: crypto.randomUUID(),
                  stream: "S",
                  subject: "a",
                  headers: body,
                  body
                }
              ],
              watermarks: [{ stream: "S", pos: 1, sequence: 2 ** 40, created: "now" }]
            }
          })
        ])
        assert.deepStrictEqual(
          (await one`select body from troupe.inbox order by outcome`).map((row) => row["body"]),
          [body, "null"]
        )
        assert.deepStrictEqual([...(await one`select body from troupe.dead`)[0]!["body"]], [...bytes])
        assert.strictEqual((await one`select headers from troupe.outbox`)[0]!["headers"], body)
        assert.strictEqual((await one`select body from troupe.timer`)[0]!["body"], body)
        const [again] = await Ownership.take(one, consumer, [3], { id: crypto.randomUUID(), contract: 1 })
        assert.deepStrictEqual(again!.cursors, { CMD_x: { seq: 7, id: `"{,}\\` } })
      })
    }).pipe(Effect.scoped)
  )
})

describe("migrations", () => {
  it.live("are applied once by two that start together, and again by nobody", () =>
    Effect.gen(function* () {
      const { one, url } = yield* hosts
      yield* Effect.promise(() => one`drop schema troupe cascade`)
      const run = Migrations.run({ url: Redacted.make(url) })
      const both = yield* Effect.all([run, run], { concurrency: 2 })
      const files = readdirSync(new URL("../migrations/", import.meta.url)).sort()
      assert.deepStrictEqual(
        both.flat().sort(),
        files.map((file) => `troupe/${file}`)
      )
      yield* Migrations.check(one, "here")
      yield* Effect.promise(() => one`update troupe.migration set sha256 = 'other'`)
      assert.strictEqual((yield* Effect.flip(run)).code, "TRP0508")
      yield* Effect.promise(() => one`delete from troupe.migration`)
      assert.strictEqual((yield* Effect.flip(Migrations.check(one, "here"))).code, "TRP0503")
    }).pipe(Effect.scoped)
  )
})
