import { connect } from "@nats-io/transport-node"
import { inbox } from "./messages.ts"

/** Counts what is answered to odd messages, by outcome and code. */
export const listen = async (
  natsUrl: string
): Promise<AsyncDisposable & { readonly replies: Readonly<Record<string, number>> }> => {
  const connection = await connect({ servers: natsUrl.replace("nats://", ""), name: "fuzzer" })
  const replies: Record<string, number> = {}
  connection.subscribe(`${inbox}.1`, {
    callback: (_, message) => {
      const outcome = message.headers?.get("Troupe-Outcome") || "none"
      const code = /"code":"(TRP\d{4})"/.exec(outcome === "rejected" ? message.string() : "")?.[1]
      const what = code === undefined ? outcome : `${outcome} ${code}`
      replies[what] = (replies[what] ?? 0) + 1
    }
  })
  await connection.flush()
  return { replies, [Symbol.asyncDispose]: () => connection.close() }
}
