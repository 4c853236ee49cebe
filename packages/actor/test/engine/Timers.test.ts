import { assert, describe, it } from "@effect/vitest"
import type { Commit } from "@troupe/postgres/internal"
import * as Schema from "effect/Schema"
import * as Timers from "../../src/engine/Timers.ts"

const Change = Schema.Struct({
  kind: Schema.Literals(["set", "cancel"]),
  // Keys and names that a careless id would mix up.
  key: Schema.Literals(["a", "a%20b"]),
  name: Schema.Literals(["b", "b b", "x"])
})

describe("what is left of timers after several turns", () => {
  it.prop(
    "is what is left when each turn is committed by itself",
    { turns: Schema.Array(Schema.Array(Change)), before: Schema.Array(Change) },
    ({ before, turns }) => {
      let id = 1_000
      const changes = turns.map((turn): Timers.Changes => {
        const of = (wanted: "set" | "cancel") => turn.filter(({ kind }) => kind === wanted)
        return { timers: of("set").map((one) => row(one, ++id)), cleared: of("cancel") }
      })
      const table = commit(new Map(), { timers: before.map((one, i) => row(one, i)), cleared: [] })
      const settled = Timers.settled(changes)
      assert.deepStrictEqual(commit(table, settled), changes.reduce(commit, table))
      // Postgres refuses to write one row twice in a statement.
      const ids = [...settled.timers, ...settled.cleared].map(({ key, name }) => JSON.stringify([key, name]))
      assert.strictEqual(new Set(ids).size, ids.length)
    }
  )
})

/** The table as `commit_v3` changes it: cleared first. */
const commit = (table: Map<string, Commit.TimerRow>, { cleared, timers }: Timers.Changes) => {
  const after = new Map(table)
  for (const { key, name } of cleared) after.delete(JSON.stringify([key, name]))
  for (const timer of timers) after.set(JSON.stringify([timer.key, timer.name]), timer)
  return after
}

const row = ({ key, name }: { readonly key: string; readonly name: string }, id: number): Commit.TimerRow => ({
  key,
  name,
  delay: id,
  id: String(id),
  stream: "CMD_shop",
  subject: "",
  headers: "{}",
  body: ""
})
