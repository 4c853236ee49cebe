import { assert, it } from "@effect/vitest"
import * as Culprit from "../../src/engine/Culprit.ts"
import { incoming } from "./incoming.ts"

it("a message is shown to people without its control and format characters, and known by the id that it has", () => {
  const id = "\u001b[31m\u202eid"
  const message = incoming({ headers: { "ce-id": id }, subject: "cmd.shop.3.Order.place.\u2028key" })
  const { id: known, p, what } = Culprit.runningOf({ id: 1 } as never, message)
  assert.deepStrictEqual([known, p], [id, 3])
  assert.include(what, "\\u2028key, id \\u001b[31m\\u202eid")
})
