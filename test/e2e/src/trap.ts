// A service that does what its callers say, for `troupe run` and `troupe dev`; TRAP is its name.
import { pathToFileURL } from "node:url"
import { Actor } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"

class Box extends Contract.actor({
  key: Schema.String,
  commands: { hit: Contract.command({ payload: { how: Schema.String }, reply: Schema.String }) },
  events: {}
}) {}
export const trap = (name: string) => Contract.make(name, { Box })

const thrower = (): never => {
  throw new Error("thrown late")
}
const ways: { readonly [how: string]: () => unknown } = {
  timer: () => setTimeout(thrower),
  rejection: () => void Promise.reject(new Error("rejected late")),
  exit: () => process.exit(0)
}
const contract = trap(process.env["TRAP"] ?? "trap")
const box = Actor.make(contract.Box, { state: Schema.Struct({}), initial: {} }).commands({
  hit: ({ how }) => {
    ways[how]?.()
    return how
  }
})

if (process.argv.some((arg) => import.meta.url === pathToFileURL(arg).href)) {
  // Code of no handler; and a library that watches what happens, as those for monitoring do.
  process.on("SIGUSR2", thrower)
  process.on("uncaughtException", () => {})
}

export default Service.make(contract, { actors: [box] })
