import { Edge } from "@troupe/actor/edge"
import { counter } from "../counter.ts"

/** The counters of a world, at the edge: without those that write to a database. */
export const serve = (name: string, secrets: Parameters<typeof Edge.serve>[1]["secrets"]) => {
  const { declared, pure } = counter(name)
  const none = (): never => {
    throw new Error("there is no database at the edge")
  }
  return Edge.serve([declared.commands({ ...pure, record: none, abuse: none, harm: none })], { secrets })
}
