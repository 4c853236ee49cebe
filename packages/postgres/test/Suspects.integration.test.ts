import { assert, it } from "@effect/vitest"
import { Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import { database } from "./database.ts"

const host = () => ({ id: crypto.randomUUID(), contract: 1 })

it.live(
  "a message that ran alone when its host died gets a strike, others none; what a living owner noted is forgotten",
  () =>
    Effect.gen(function* () {
      const { sql } = yield* database
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(sql, "x.X", 4))!
        const take = async (who: { id: string; contract: number }, p: number) =>
          (await Ownership.take(sql, consumer, [p], who))[0]!
        const message = (id: string) => ({ id, what: `x.X.act ${id}` })
        // No host of this test is among the living: whoever takes takes over from the dead.
        const [one, two, three] = [host(), host(), host()]
        const first = await take(one, 0)
        assert.deepStrictEqual([first.died, [...first.suspects]], [false, []])
        assert.isTrue(await Ownership.suspectsOf(sql, first.fence, [], [message("a"), message("b")], false))
        const second = await take(two, 0)
        assert.deepStrictEqual(
          [second.died, [...second.suspects].sort()],
          [
            true,
            [
              ["a", 0],
              ["b", 0]
            ]
          ]
        )
        assert.isFalse(await Ownership.suspectsOf(sql, first.fence, [], [message("c")], true), "it lost the partition")
        await Ownership.suspectsOf(sql, second.fence, ["b"], [message("a")], true)
        const third = await take(three, 0)
        assert.deepStrictEqual([...third.suspects], [["a", 1]], "b has ended well, c is not noted by who owns nothing")
        await Ownership.suspectsOf(sql, third.fence, ["a"], [message("d")], true)
        await Ownership.release(sql, [{ ...third.fence }])
        const again = await take(one, 0)
        assert.deepStrictEqual([again.died, [...again.suspects]], [false, []], "it was given back in the middle of d")
      })
    }).pipe(Effect.scoped)
)

it.live(
  "what the watch of a host notes is one row a message, with the strikes that it is certain of, until it takes them back",
  () =>
    Effect.gen(function* () {
      const { sql } = yield* database
      yield* Effect.promise(async () => {
        const consumer = (await Ownership.consumer(sql, "x.X", 4))!
        const [one, two] = [host(), host()]
        await Ownership.take(sql, consumer, [1, 2], one)
        const noted = { host: one.id, by: "watch", messages: [{ consumer, p: 1, id: "m", what: "x.X.act k" }] } as const
        await Ownership.suspect(sql, noted, { alone: true })
        await Ownership.unsuspect(sql, noted)
        assert.strictEqual((await sql`select from troupe.suspect`).length, 0)
        const twice = { ...noted, messages: [...noted.messages, ...noted.messages] }
        await Ownership.suspect(sql, twice, { alone: true, strikes: 2 })
        await Ownership.suspect(
          sql,
          { ...noted, host: two.id, messages: [{ ...noted.messages[0], id: "other" }] },
          { alone: true }
        )
        const [, taken] = [
          await Ownership.take(sql, consumer, [2], two),
          (await Ownership.take(sql, consumer, [1], two))[0]!
        ]
        assert.deepStrictEqual([...taken.suspects], [["m", 3]], "a host that owns nothing of it notes nothing")
      })
    }).pipe(Effect.scoped)
)
