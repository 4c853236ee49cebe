import { Reason } from "@troupe/contract"
import { createInbox, type Msg, type NatsConnection, nuid } from "@nats-io/nats-core"

/** What a stream answers to a publish. */
export interface Answer {
  readonly seq: number
  readonly duplicate?: boolean
  /** Of a batch: how many of its messages are in the stream. */
  readonly count?: number
  readonly error?: { readonly err_code: number; readonly description: string }
}

/**
 * What all publishes of a connection share: one subscription for the answers, since a request of the client's own each
 * costs twice as much, and one reader of the connection's status.
 */
export class Acks {
  readonly #inbox: string
  readonly #waiting = new Map<string, { readonly done: (answer: Answer | Error) => void; readonly timer: Timer }>()
  readonly #listeners = { disconnect: new Set<() => void>(), reconnect: new Set<() => void>() }
  #connected = true

  constructor(connection: NatsConnection, inboxPrefix: string) {
    this.#inbox = createInbox(inboxPrefix)
    connection.subscribe(`${this.#inbox}.>`, {
      callback: (error, message) => {
        if (error === null) this.#arrived(message)
      }
    })
    void this.#watch(connection)
  }

  /**
   * Sends with `reply` as the address of the answer; `id` is its last token, and new. Calls `done` once: with the answer,
   * or with an error when none came within the time, or when the connection was lost meanwhile.
   */
  ask(
    milliseconds: number,
    send: (reply: string, id: string) => void,
    done: (answer: Answer | Error) => void
  ): { readonly forget: () => void } {
    const id = nuid.next()
    const timer = setTimeout(() => this.#answer(id, new Error(`no answer in ${milliseconds} ms`)), milliseconds)
    this.#waiting.set(id, { done, timer })
    try {
      // The client would keep it and send it first thing to a server that comes back, whatever that has lost meanwhile.
      if (!this.#connected) throw new Error("not connected")
      send(`${this.#inbox}.${id}`, id)
    } catch (error) {
      this.#answer(id, new Error(Reason.text(error)))
    }
    return {
      forget: () => {
        clearTimeout(timer)
        this.#waiting.delete(id)
      }
    }
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Calls back each time, until the answer is called. */
  on(event: "disconnect" | "reconnect", run: () => void): () => void {
    this.#listeners[event].add(run)
    return () => void this.#listeners[event].delete(run)
  }

  #arrived(message: Msg): void {
    const [id = ""] = message.subject.slice(this.#inbox.length + 1).split(".", 1)
    // What comes after the first answer is about messages that were refused with it.
    if (!this.#waiting.has(id)) return
    if (message.data.length === 0) return this.#answer(id, new Error("nobody took it: there is no such stream"))
    let answer: Answer & { readonly type?: string }
    try {
      answer = message.json()
    } catch {
      return this.#answer(id, new Error("the answer is no JSON"))
    }
    // The pace of a fast ingest; a gap or an error in it is followed by the answer that says how far it came.
    if (answer.type === undefined) this.#answer(id, answer)
  }

  #answer(id: string, answer: Answer | Error): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    waiting.done(answer)
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type !== "disconnect" && type !== "reconnect") continue
      this.#connected = type === "reconnect"
      if (!this.#connected) {
        for (const id of this.#waiting.keys()) this.#answer(id, new Error("the connection was lost"))
      }
      for (const run of this.#listeners[type]) run()
    }
  }
}

type Timer = ReturnType<typeof setTimeout>
