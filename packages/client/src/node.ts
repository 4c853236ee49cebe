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
 *
 * Of a server that is named by an address, the certificate has to be for that address. Given a socket and no name, Node.js
 * compares the certificate with the name `localhost`.
 */
class Transport extends NodeTransport {
  private host = ""
  override connect(...[server, options]: Parameters<NodeTransport["connect"]>): Promise<void> {
    this.host = server.hostname
    return super.connect(server, options)
  }
  override startTLS(): ReturnType<NodeTransport["startTLS"]> {
    const { options, tlsName } = this
    // Its type knows some options of node:tls only; all of them are passed on.
    if (tlsName === "") this.options = { ...options, tls: { ...options.tls, ...({ host: this.host } as object) } }
    return super.startTLS()
  }
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
  return NatsConnectionImpl.connect(demandsTls(options) ? { ...options, tls: {} } : options)
}

/** nats.js drops the scheme: without the option it would connect in plain text to a server that offers no TLS. */
const demandsTls = ({ servers = [] }: Parameters<Dial>[0]): boolean =>
  [servers].flat().some((server) => /^tls:/i.test(server))

/**
 * A client for Effect code, over TCP: `servers` are `nats://` or `tls://`. With one `tls://` among them the connection is
 * encrypted or fails, and the certificate has to be for the name or the address of the server. Fails when no server answers in time.
 */
export const layer = overDial(dial)

/** Connects over TCP, for code without Effect. Rejects with `ClientError` when no server answers in time. */
export const connect = (options: ConnectOptions): Promise<Connection> => make(layer(options))
