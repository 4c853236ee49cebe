import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { assign, type Candidate, type Partition } from "../src/assign.ts"

const host = (i: number, contract = 1, able = true): Candidate => ({ id: `host ${i}`, contract, able })
const free = (count: number): ReadonlyArray<Partition> =>
  Array.from({ length: count }, (_, p) => ({ p, host: null, contract: 0 }))
/** The partitions once everybody has taken what was assigned. */
const taken = (
  partitions: ReadonlyArray<Partition>,
  plan: ReadonlyMap<number, string>,
  hosts: ReadonlyArray<Candidate>
): ReadonlyArray<Partition> =>
  partitions.map((one) => {
    const to = hosts.find(({ id }) => id === plan.get(one.p))
    return to === undefined ? one : { p: one.p, host: to.id, contract: to.contract }
  })
const countsOf = (plan: ReadonlyMap<number, string>, hosts: ReadonlyArray<Candidate>) =>
  hosts.map(({ id }) => [...plan.values()].filter((to) => to === id).length)
const spread = (counts: ReadonlyArray<number>) => Math.max(...counts) - Math.min(...counts)

/** How many partitions, and which hosts live, one moment after the other: hosts by number, of contract 1 or 2. */
const Story = Schema.Struct({
  partitions: Schema.Literals([1, 4, 16, 64]),
  moments: Schema.Array(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })))).check(
    Schema.isMaxLength(6)
  )
})

describe("the assignment", () => {
  it.prop("is even within one, whoever comes and goes, and moves no more than it must", [Story], ([story]) => {
    let partitions = free(story.partitions)
    for (const moment of story.moments) {
      const hosts = [...new Set(moment)].map((i) => host(i))
      const plan = assign(7, hosts, partitions)
      if (hosts.length === 0) {
        assert.strictEqual(plan.size, 0, "nobody lives, so it goes to nobody")
        continue
      }
      assert.strictEqual(plan.size, story.partitions, "every partition has an owner")
      const counts = countsOf(plan, hosts)
      assert.isAtMost(spread(counts), 1)
      const moved = partitions.filter((one) => one.host !== null && plan.get(one.p) !== one.host).length
      const orphaned = partitions.filter((one) => one.host !== null && !hosts.some(({ id }) => id === one.host)).length
      const before = hosts.map(({ id }) => partitions.filter((one) => one.host === id).length)
      const surplus = before.reduce((sum, had, i) => sum + Math.max(0, had - counts[i]!), 0)
      assert.strictEqual(moved, orphaned + surplus, "what is within an owner's share stays")
      const high = Math.ceil(story.partitions / hosts.length)
      const low = Math.floor(story.partitions / hosts.length)
      const tooMany = before.reduce((sum, had) => sum + Math.max(0, had - high), 0)
      const tooFew = before.reduce((sum, had) => sum + Math.max(0, low - had), 0)
      assert.isAtMost(surplus, Math.max(tooMany, tooFew), "and no share is smaller than it has to be")
      partitions = taken(partitions, plan, hosts)
      assert.deepStrictEqual([...assign(7, hosts, partitions)].sort(), [...plan].sort(), "then nothing moves any more")
    }
  })

  it.prop("is the same wherever it is asked, in whatever order", [Story], ([story]) => {
    const hosts = [...new Set(story.moments.flat())].map((i) => host(i, 1 + (i % 2)))
    const partitions = taken(free(story.partitions), assign(7, hosts, free(story.partitions)), hosts)
    assert.deepStrictEqual(
      [...assign(7, hosts, partitions)].sort(),
      [...assign(7, hosts.toReversed(), partitions.toReversed())].sort()
    )
  })

  it.prop(
    "gives nothing of newer code to older code, and nothing to nobody that somebody may have",
    [Story],
    ([story]) => {
      let partitions = free(story.partitions)
      for (const moment of story.moments) {
        const hosts = [...new Set(moment)].map((i) => host(i, 1 + (i % 2)))
        const plan = assign(7, hosts, partitions)
        for (const one of partitions) {
          const may = hosts.filter(({ contract }) => contract >= one.contract)
          const to = plan.get(one.p)
          if (may.length === 0) assert.isUndefined(to)
          else assert.isTrue(may.some(({ id }) => id === to))
        }
        partitions = taken(partitions, plan, hosts)
      }
    }
  )

  it("shares what older code may have such that all have as much as can be", () => {
    const [a, b, newer] = [host(1), host(2), host(3, 2)]
    const first = taken(free(16), assign(7, [a, b], free(16)), [a, b])
    const plan = assign(7, [a, b, newer], first)
    assert.deepStrictEqual(countsOf(plan, [a, b, newer]).sort(), [5, 5, 6])
    const second = taken(first, plan, [a, b, newer])
    assert.deepStrictEqual(assign(7, [a, b, newer], second), plan, "the new owner's contract changes nothing")
    const without = assign(7, [a, b], second)
    const theirs = second.filter(({ contract }) => contract === 1).length
    assert.strictEqual(without.size, theirs, "what newer code had waits for newer code")
    assert.isAtMost(spread(countsOf(without, [a, b])), 1)
  })

  it("gives the ones that are left over to different hosts for different consumers", () => {
    const hosts = [host(1), host(2), host(3)]
    const most = new Set(
      Array.from({ length: 20 }, (_, consumer) => {
        const counts = countsOf(assign(consumer, hosts, free(16)), hosts)
        return counts.indexOf(6)
      })
    )
    assert.strictEqual(most.size, 3)
  })
})
