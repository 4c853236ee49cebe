// The callers, in a process of their own: node driver.ts '{"target": ..., "load": ...}'. Without a load it sums all counters.
import { Agent, request } from "node:http"
import { connect } from "@troupe/client/node"
import { Bench } from "../counter/contract.ts"
import { quantile } from "../Figures.ts"
import { type Call, type Load, run, sum } from "./load.ts"

export type Target = { readonly natsUrl: string } | { readonly httpUrl: string }

export interface Settings {
  readonly target: Target
  readonly keys: number
  readonly load?: Load
}

const overNats = async (natsUrl: string): Promise<Call> => {
  const client = await connect({ servers: natsUrl, name: "bench" })
  return (key, n) => client.ask(Bench.Counter.at(key).increment({ n }), { timeout: "30 seconds" })
}

/** Restate's paths; the fronts of the others have the same. */
const overHttp = (httpUrl: string): Call => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1_024 })
  const { hostname: host, port } = new URL(httpUrl)
  return (key, n) =>
    new Promise((resolve, reject) => {
      const body = String(n)
      const headers = { "content-type": "application/json", "content-length": body.length }
      const path = `/Counter/${key}/increment`
      request({ host, port, method: "POST", path, agent, headers }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (part: string) => (text += part))
        response.on("end", () =>
          response.statusCode === 200
            ? resolve(Number(text))
            : reject(new Error(`${response.statusCode} ${text.slice(0, 200)}`))
        )
      })
        .on("error", reject)
        .end(body)
    })
}

const { keys, load, target }: Settings = JSON.parse(process.argv[2] ?? "{}")
const call = "natsUrl" in target ? await overNats(target.natsUrl) : overHttp(target.httpUrl)
if (load === undefined) console.log(`sum ${await sum(call, keys)}`)
else {
  const { latencies, ...measured } = await run(call, load, (what) => console.log(what))
  console.log(
    `measured ${JSON.stringify({ ...measured, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) })}`
  )
}
process.exit(0)
