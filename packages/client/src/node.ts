/** The client over TCP: Node, Deno and Bun. It has everything that `@troupe/client` has, with another transport. */
import { hasWsProtocol, NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal"
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js"
import { layer as overDial } from "./Client.ts"
import { type Connection, make } from "./Connection.ts"
import type { ConnectOptions, Dial } from "./internal/Link.ts"

export * from "./sdk.ts"

/**
 * A TCP connection that is given up at once when the server does not answer. nats.js waits until the system has taken all
 * that was written before it gives a connection up: behind a dead link with full buffers that lasts until TCP times out,
 * a quarter of an hour on Linux.
 */
class Transport extends NodeTransport {
  override disconnect(): void {
    this.socket?.destroy()
  }
}

/**
 * nats.js takes all listeners from a socket before it gives it others, or ends it. On Deno a connection that is reset in
 * between is an error that nobody hears, and ends the process: there one listener always stays.
 */
class Heard extends Transport {
  override async dial(host: Parameters<NodeTransport["dial"]>[0]): ReturnType<NodeTransport["dial"]> {
    const socket = await super.dial(host)
    const { removeAllListeners } = socket
    socket.removeAllListeners = () => removeAllListeners.call(socket).on("error", () => {})
    return socket.removeAllListeners()
  }
}

const dial: Dial = async (options) => {
  if (hasWsProtocol(options))
    throw new TypeError("@troupe/client/node needs nats:// or tls://; @troupe/client has ws://")
  setTransportFactory({
    factory: () => ("Deno" in globalThis ? new Heard() : new Transport()),
    dnsResolveFn: nodeResolveHost
  })
  return NatsConnectionImpl.connect(options)
}

/** A client for Effect code, over TCP: `servers` are `nats://` or `tls://`. Fails when no server answers in time. */
export const layer = overDial(dial)

/** Connects over TCP, for code without Effect. Rejects with `ClientError` when no server answers in time. */
export const connect = (options: ConnectOptions): Promise<Connection> => make(layer(options))
