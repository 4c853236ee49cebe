import { Caller } from "@troupe/permissions"
import { Absent, Counting, Full, Silent } from "./contract.ts"

/** The client that is checked: it may send to all but `Forbidden`. */
export default Caller.make("web", {
  sends: [...Object.values(Counting.Counter.commands), ...[Silent, Full, Absent].map(({ Pit }) => Pit.commands.fall)],
  hears: [Counting]
})
