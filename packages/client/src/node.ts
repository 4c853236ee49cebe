/** The client over TCP: Node, Deno and Bun. It has everything that `@troupe/client` has, with another transport. */
import { NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal"
import { connect as tcp } from "@nats-io/transport-node"
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js"
import { layer as overDial } from "./Client.ts"
import { type Connection, make } from "./Connection.ts"
import type { ConnectOptions } from "./internal/Link.ts"

export * from "./sdk.ts"

/**
 * nats.js takes all listeners from a socket before it gives it others, or ends it. On Deno a connection that is reset in
 * between is an error that nobody hears, and ends the process: there one listener always stays.
 */
class Heard extends NodeTransport {
  override async dial(host: Parameters<NodeTransport["dial"]>[0]): ReturnType<NodeTransport["dial"]> {
    const socket = await super.dial(host)
    const { removeAllListeners } = socket
    socket.removeAllListeners = () => removeAllListeners.call(socket).on("error", () => {})
    return socket.removeAllListeners()
  }
}
const heard: typeof tcp = (options) => {
  setTransportFactory({ factory: () => new Heard(), dnsResolveFn: nodeResolveHost })
  return NatsConnectionImpl.connect(options)
}
const dial = ("Deno" in globalThis ? heard : tcp) as Parameters<typeof overDial>[0]

/** A client for Effect code, over TCP: `servers` are `nats://` or `tls://`. Fails when no server answers in time. */
export const layer = overDial(dial)

/** Connects over TCP, for code without Effect. Rejects with `ClientError` when no server answers in time. */
export const connect = (options: ConnectOptions): Promise<Connection> => make(layer(options))
