import { connect } from "node:net"
import { until } from "@troupe/test-world"
import * as Effect from "effect/Effect"

/** Events as numbers, in the order in which they came, over as many connections as it takes. */
export class Listener implements AsyncDisposable {
  readonly numbers: Array<number> = []
  /** How often it connected. */
  connections = 0
  place = ""
  /** The status of an answer that is no event stream. */
  refused = 0
  private readonly url: string
  private readonly token: string
  private readonly ended = new AbortController()
  private readonly running: Promise<void>

  /** Goes on after `place`, if given, as a browser's EventSource does. */
  constructor(url: string, token: string, place = "") {
    this.url = url
    this.token = token
    this.place = place
    this.running = this.run()
  }

  private async run(): Promise<void> {
    while (!this.ended.signal.aborted && this.refused === 0) {
      await this.once().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  private async once(): Promise<void> {
    const response = await fetch(this.url, {
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(this.place === "" ? {} : { "last-event-id": this.place })
      },
      signal: this.ended.signal
    })
    if (response.status !== 200) {
      if (response.status !== 503) this.refused = response.status
      return
    }
    this.connections++
    let rest = ""
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const frames = (rest + text).split("\n\n")
      rest = frames.pop() ?? ""
      for (const frame of frames) {
        this.place = placeOf(frame) ?? this.place
        this.numbers.push(...numbersOf(frame))
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort()
    await this.running
  }
}

/** Where a frame stands, if it says so. */
export const placeOf = (frame: string): string | undefined => /^id: (\S+)$/m.exec(frame)?.[1]

/** The number of the event in a frame, if there is one. */
export const numbersOf = (frame: string): ReadonlyArray<number> => {
  const data = /^data: (.*)$/m.exec(frame)?.[1]
  return data === undefined ? [] : [Number.parseInt(JSON.parse(data).data.reason, 10)]
}

/**
 * A reader that takes what comes first, and then nothing until `rest` is run: then it gets what the connection still has.
 * Answers its frames, the whole ones.
 */
export const sluggish = Effect.fnUntraced(function* (url: string, token: string) {
  const { hostname, pathname, port, search } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding("utf8")
  let text = ""
  socket.on("data", (data: string) => (text += data)).on("error", () => {})
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  yield* until(
    async () => text,
    (seen) => seen.includes("\nid: ")
  )
  socket.pause()
  const rest = Effect.callback<ReadonlyArray<string>>((resume) => {
    socket.once("close", () => {
      const body = text.slice(text.indexOf("\r\n\r\n") + 2).replaceAll(/\r\n[0-9a-f]+\r\n/g, "")
      resume(Effect.succeed(body.split("\n\n").slice(0, -1)))
    })
    socket.resume()
  })
  return { rest }
})
