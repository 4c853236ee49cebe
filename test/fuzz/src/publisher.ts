import { once } from "node:events"
import { connect, type Socket } from "node:net"
import type { OddMessage } from "./messages.ts"

/** Publishes what no client library would: by the protocol of NATS itself (https://docs.nats.io/reference/reference-protocols/nats-protocol). */
export class Publisher implements AsyncDisposable {
  /** What the server said of messages that it did not take. */
  readonly refusals = new Map<string, number>()
  private readonly port: number
  private socket: Socket | undefined
  private pongs: Array<() => void> = []

  constructor(natsUrl: string) {
    this.port = Number(new URL(natsUrl).port)
  }

  /** Sends them all, and waits until the server has read them. */
  async publish(messages: ReadonlyArray<OddMessage>): Promise<void> {
    const socket = await this.connected()
    const ponged = new Promise<void>((resolve) => this.pongs.push(resolve))
    socket.write(Buffer.concat([...messages.map(encode), Buffer.from("PING\r\n")]))
    await ponged
  }

  private async connected(): Promise<Socket> {
    if (this.socket !== undefined) return this.socket
    const socket = connect(this.port, "127.0.0.1")
    let rest = ""
    socket.setEncoding("latin1").on("data", (text: string) => {
      const lines = (rest + text).split("\r\n")
      rest = lines.pop() ?? ""
      for (const line of lines) this.hear(socket, line)
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      if (this.socket === socket) this.socket = undefined
      for (const waiting of this.pongs.splice(0)) waiting()
    })
    await once(socket, "connect")
    socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"name":"fuzzer"}\r\n')
    this.socket = socket
    return socket
  }

  private hear(socket: Socket, line: string): void {
    if (line === "PING") socket.write("PONG\r\n")
    if (line === "PONG") this.pongs.shift()?.()
    if (line.startsWith("-ERR")) {
      const what = line.slice(5).replace(/ for .*$/, "")
      this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket?.destroy()
  }
}

const encode = ({ block, body, headers, reply, subject }: OddMessage): Buffer => {
  const head = Buffer.from(
    block ?? `NATS/1.0\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`
  )
  const to = reply === undefined ? "" : ` ${reply}`
  const line = `HPUB ${subject}${to} ${head.length} ${head.length + body.length}\r\n`
  return Buffer.concat([Buffer.from(line), head, body, Buffer.from("\r\n")])
}
