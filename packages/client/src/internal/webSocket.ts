import { type ConnectionOptions, type NatsConnection, wsconnect } from "@nats-io/nats-core"

/** A connection that may belong to one request of a Worker. */
export type Dialled = NatsConnection & {
  /** Why it cannot be used from where we are now, if so. */
  readonly elsewhere?: () => string | undefined
}

/** Connects over the platform's WebSocket. */
export const dial = (options: ConnectionOptions): Promise<Dialled> =>
  new Promise((resolve, reject) => {
    let current: WebSocket | undefined
    let given = true
    const lost = (): void => {
      given = false
      reject(new Error("the server ended the connection before it was made"))
    }
    const wsFactory = async (url: string) => {
      current = new WebSocket(url)
      return { socket: new Socket(current, lost), encrypted: url.startsWith("wss:") }
    }
    const elsewhere = () => (current === undefined ? undefined : foreign(current))
    wsconnect({ ...options, wsFactory } as Parameters<typeof wsconnect>[0]).then(
      (nc) => (given ? resolve(Object.assign(nc, { elsewhere })) : nc.close()),
      reject
    )
  })

/**
 * workerd ties a socket to the request that made it. To look at it from another one throws, where to send on it would be
 * ignored by nats-core, and wait for ever.
 */
const foreign = (socket: WebSocket): string | undefined => {
  try {
    void socket.readyState
    return undefined
  } catch {
    return "it was made in another request of this Worker: connect in each request, or keep it in a Durable Object"
  }
}

/** ms */
const patience = 1_000

/**
 * A socket whose end is told in a task of its own. nats-core reads messages in the turns after their events: an end that
 * comes in the same turn, as in workerd, would hide why the server closed, such as a wrong password. After that `ended` is
 * called if the server had begun to speak: nats-core does not notice such an end while it connects. One that is closed
 * ends within two seconds: behind a dead link the platform waits for the server's goodbye, and for what was sent to leave,
 * and nats-core waits for both before it reconnects.
 */
class Socket {
  onopen: (() => void) | null = null
  onmessage: ((event: MessageEvent) => void) | null = null
  onerror: ((event: Event) => void) | null = null
  onclose: ((event: CloseEvent) => void) | null = null
  private readonly socket: WebSocket
  /** Until when what was sent may leave, ms of `performance.now`; nats-core asks for it only to close. */
  private leaving: number | undefined
  private goodbye: ReturnType<typeof setTimeout> | undefined

  constructor(socket: WebSocket, ended: () => void) {
    this.socket = socket
    let heard = false
    socket.binaryType = "arraybuffer"
    socket.addEventListener("open", () => this.onopen?.())
    socket.addEventListener("message", (event) => {
      heard = true
      this.onmessage?.(event)
    })
    socket.addEventListener("error", (event) => setTimeout(() => this.onerror?.(event)))
    socket.addEventListener("close", (event) => {
      clearTimeout(this.goodbye)
      setTimeout(() => {
        this.onclose?.(event)
        if (heard) setTimeout(ended)
      })
    })
  }

  get bufferedAmount(): number {
    this.leaving ??= performance.now() + patience
    return performance.now() < this.leaving ? this.socket.bufferedAmount : 0
  }
  send(bytes: ArrayBuffer): void {
    this.socket.send(bytes)
  }
  close(): void {
    const { readyState } = this.socket
    this.socket.close()
    if (readyState === WebSocket.CLOSED) return
    this.goodbye ??= setTimeout(() => this.onclose?.({ wasClean: false, reason: "" } as CloseEvent), patience)
  }
}
