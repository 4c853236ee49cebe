import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core"
import { NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal"
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js"

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

/** Connects over TCP. The transport is one per process: nats.js keeps the factory in a global. */
export const connect = (options: ConnectionOptions): Promise<NatsConnection> => {
  setTransportFactory({ factory: () => new Transport(), dnsResolveFn: nodeResolveHost })
  return NatsConnectionImpl.connect({ ...options, reconnectDelayHandler: redial() })
}

/** Between two attempts to reconnect, ms, with up to 100 ms of jitter. */
const wait = 250

/**
 * The delay between attempts, by the monotonic clock. nats.js notes the wall-clock time of each attempt and makes no
 * further one before that time plus the delay, so that after a clock that was an hour ahead is corrected it would not
 * reconnect for an hour. It asks for the delay before each look at a server, and waits no longer than the answer before
 * it looks again: a delay in the infinite past makes the attempt due, whatever the wall clock says.
 */
const redial = (): (() => number) => {
  let due = Number.NEGATIVE_INFINITY
  return () => {
    const now = performance.now()
    const delay = wait + Math.random() * 100
    if (now < due) return delay
    due = now + delay
    return Number.NEGATIVE_INFINITY
  }
}
