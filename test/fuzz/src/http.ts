import { connect, type Socket } from "node:net"
import type { OddRequest } from "./requests.ts"

/** The status of an answer, with its code; `closed` without one, `hang` when neither came in time. */
export type Answer = `${number}` | `${number} TRP${number}` | "closed" | "hang"

/** One connection to the gateway, made again as often as it is closed. */
export class Http implements Disposable {
  private readonly port: number
  private socket: Socket | undefined
  private answer: Answer = "closed"

  constructor(url: string) {
    this.port = Number(new URL(url).port)
  }

  /** Sends a request and reads its answer, within so many ms. */
  async send({ body, head, isFramed, method }: OddRequest, within: number): Promise<Answer> {
    const socket = this.socket ?? connect(this.port, "127.0.0.1").on("error", () => {})
    this.socket = undefined
    const answer = await new Promise<Answer | "whole">((resolve) => {
      let received = Buffer.alloc(0)
      const timer = setTimeout(() => done("hang"), within)
      const done = (answer: Answer | "whole"): void => {
        clearTimeout(timer)
        socket.removeAllListeners("data").removeAllListeners("close")
        resolve(answer)
        if (answer !== "whole" || !isFramed) socket.destroy()
        else this.socket = socket
      }
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const read = response(received, method)
        if (read === undefined) return
        this.answer = read.answer
        // A connection that the gateway closes, and an event stream, are for one request.
        if (read.isLast) done(read.answer)
        else done("whole")
      })
      socket.on("close", () => done("closed"))
      socket.write(head)
      socket.write(body)
      // What waits for more gets to know that no more comes.
      if (!isFramed) socket.end()
    })
    return answer === "whole" ? this.answer : answer
  }

  [Symbol.dispose](): void {
    this.socket?.destroy()
  }
}

/** The response that some bytes begin with, once it is whole; of an event stream the head. */
const response = (bytes: Buffer, method: string): { readonly answer: Answer; readonly isLast: boolean } | undefined => {
  const end = bytes.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const head = bytes.toString("latin1", 0, end)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  // 100 Continue
  if (status < 200) return response(bytes.subarray(end + 4), method)
  const isLast = /^connection: close/im.test(head)
  if (/^content-type: text\/event-stream/im.test(head)) return { answer: `${status}`, isLast: true }
  if (method === "HEAD" || status === 204 || status === 304) return { answer: `${status}`, isLast }
  const body = bytes.subarray(end + 4)
  const length = /^content-length: (\d+)/im.exec(head)?.[1]
  const whole = length === undefined ? body.subarray(-5).toString() === "0\r\n\r\n" : body.length >= Number(length)
  const code = /"code":"(TRP\d{4})"/.exec(body.toString("latin1", 0, 2_000))?.[1] as `TRP${number}` | undefined
  const answer: Answer = code === undefined ? `${status}` : `${status} ${code}`
  // A body without a length ends with its connection; the status is known.
  if (length === undefined && !/^transfer-encoding: chunked/im.test(head)) return { answer, isLast: true }
  return whole ? { answer, isLast } : undefined
}
