import { assert, it } from "@effect/vitest"
import { Contract } from "@troupe/contract"
import { Outbox } from "@troupe/outbox"
import * as Schema from "effect/Schema"

class List extends Contract.actor({
  key: Schema.String,
  commands: { put: Contract.command({ payload: { numbers: Schema.Array(Schema.Int) } }) }
}) {}
const Lists = Contract.make("lists", { List })

it("a command of more JSON values than its receiver decodes is not enqueued", async () => {
  const stored: Array<unknown> = []
  const tx = { execute: async (query: unknown) => stored.push(query) } as never
  const put = (count: number) => Lists.List.at("l").put({ numbers: Array.from({ length: count }, () => 0) })
  const refused = await Outbox.insert(tx, put(49_999)).catch((error: unknown) => error)
  assert.instanceOf(refused, Outbox.EnqueueError)
  assert.strictEqual(String((refused as Error).message), "lists.List.put: it has more than 50000 values")
  assert.lengthOf(stored, 0)
  await Outbox.insert(tx, put(49_998))
  assert.isAbove(stored.length, 0)
})
