import { Actor } from "@troupe/actor"
import * as Schema from "effect/Schema"
import { Box } from "./contract.ts"

// What both ends know of the actor: its state, and whom it may send to.
export const show = Actor.make(Box.Show, {
  state: Schema.Struct({ left: Schema.Int }),
  initial: { left: 100 }
})
