import { Edge } from "@troupe/actor/edge"
import { SoldOut } from "./contract.ts"
import { show } from "./show.ts"

const handled = show.commands({
  *reserve({ seats }, self) {
    const left = self.state.left - seats
    if (left < 0) return yield* new SoldOut({ left: self.state.left })
    self.set({ left })
    self.emit.reserved({ seats })
    return left
  }
})

export default Edge.serve([handled], { secrets: [process.env["EDGE_SECRET"]] })
