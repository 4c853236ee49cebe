import { assert, it } from "@effect/vitest"
import { Rows } from "../src/Rows.ts"

const row = (pos: number, size: number) => ({
  pos,
  stream: "S",
  id: "",
  subject: "",
  headers: "{}",
  body: "x".repeat(size)
})
const positions = (rows: ReadonlyArray<{ readonly pos: number }>) => rows.map(({ pos }) => pos)

it("rows leave in the order in which they came, however often some are dropped", () => {
  const rows = new Rows()
  const left: Array<number> = []
  let next = 0
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < (round % 7) + 1; i++) {
      rows.push(row(next, next % 5))
      left.push(next++)
    }
    const some = rows.portion({ rows: round % 5, bytes: 1_000 })
    assert.deepStrictEqual(positions(some), left.slice(0, some.length))
    rows.drop(some.length)
    left.splice(0, some.length)
    assert.strictEqual(rows.length, left.length)
    assert.strictEqual(
      rows.bytes,
      left.reduce((sum, pos) => sum + (pos % 5), 0)
    )
    assert.strictEqual(rows.last?.pos, left.at(-1))
  }
  rows.clear()
  assert.deepStrictEqual([rows.length, rows.bytes, rows.last], [0, 0, undefined])
})

it("a portion keeps within both limits, and is never empty while there are rows", () => {
  const rows = new Rows()
  for (const [pos, size] of [100, 5, 5, 5].entries()) rows.push(row(pos, size))
  assert.deepStrictEqual(positions(rows.portion({ rows: 10, bytes: 50 })), [0])
  rows.drop(1)
  assert.deepStrictEqual(positions(rows.portion({ rows: 10, bytes: 10 })), [1, 2])
  assert.deepStrictEqual(positions(rows.portion({ rows: 1, bytes: 10 })), [1])
})
