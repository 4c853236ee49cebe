// The endpoint of a virtual object that Restate's server calls; its state is the server's.
import { createServer } from "node:http2"
import * as restate from "@restatedev/restate-sdk"
import { listening } from "./front.mjs"

const counter = restate.object({
  name: "Counter",
  handlers: {
    increment: async (context, n) => {
      const total = ((await context.get("total")) ?? 0) + n
      context.set("total", total)
      return total
    }
  }
})
listening(createServer(restate.createEndpointHandler({ services: [counter] })))
