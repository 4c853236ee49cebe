import { randomUUID } from "node:crypto"
import type { Connection } from "@troupe/client"
import type { Http } from "./http.ts"
import { Fuzz, name } from "./target.ts"

/** A valid message has to be answered in so many ms, however busy the machine is. */
const patience = 30_000

/** The valid messages among the odd ones: what was sent, and what came of it. */
export class Valid {
  readonly counts = { asks: 0, sends: 0, requests: 0, repeats: 0, refused: 0 }
  readonly problems: Array<string> = []
  /** What each key must have in the end. */
  private readonly sums = new Map<string, number>()
  /** Keys of which an answer is missing: nobody knows their sum. */
  private readonly unknown = new Set<string>()
  private readonly client: Connection

  constructor(client: Connection) {
    this.client = client
  }

  /** One of several kinds of valid messages to a key, which has one sender; the kinds come in turn. */
  async message(key: string, n: number, turn: number): Promise<void> {
    const tally = Fuzz.Tally.at(key)
    const before = this.sums.get(key) ?? 0
    const id = randomUUID()
    try {
      const kind = turn % 4
      if (kind === 0) {
        this.counts.sends++
        await this.client.send(tally.add({ n }), { id })
        this.sums.set(key, before + n)
      } else if (kind === 1) {
        this.counts.asks++
        const note = tally.note({ text: "refuse", lines: [], kind: "a", size: n })
        const answer = await this.client.tryAsk(note, { id, timeout: patience })
        if (answer.ok || answer.error._tag !== "Refused") this.problems.push(`a typed error came as ${text(answer)}`)
      } else {
        this.counts.asks++
        this.expect(key, await this.client.ask(tally.add({ n }), { id, timeout: patience }), before + n)
      }
      if (kind === 3) {
        this.counts.repeats++
        this.expect(key, await this.client.ask(tally.add({ n }), { id, timeout: patience }), before + n)
        const other = await this.client.tryAsk(tally.add({ n: n + 1 }), { id, timeout: patience })
        if (other.ok) this.problems.push(`the id ${id} was taken for two messages`)
        else this.counts.refused++
      }
    } catch (cause) {
      this.lose(key, cause)
    }
  }

  /** A valid request over HTTP; the second one with its idempotency key changes nothing. */
  async request(http: Http, token: string, key: string, n: number): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ n }))
    const lines = [
      `POST /v1/${name}/Tally/${key}/add HTTP/1.1`,
      "host: 127.0.0.1",
      `authorization: Bearer ${token}`,
      "content-type: application/json",
      `idempotency-key: ${randomUUID()}`,
      `content-length: ${body.length}`
    ]
    const request = { method: "POST", head: `${lines.join("\r\n")}\r\n\r\n`, body, isFramed: true }
    for (const time of [1, 2]) {
      this.counts[time === 1 ? "requests" : "repeats"]++
      const until = performance.now() + patience
      let answer = await http.send(request, patience)
      // What was not answered in time is asked again with the same key, as documented.
      while (answer === "504 TRP0210" && performance.now() < until) answer = await http.send(request, patience)
      if (answer !== "200") return this.lose(key, `HTTP ${answer}`)
    }
    this.sums.set(key, (this.sums.get(key) ?? 0) + n)
  }

  /** Whether each key has what was added to it, once. */
  async compare(): Promise<void> {
    for (const [key, sum] of this.sums) {
      if (this.unknown.has(key)) continue
      try {
        const found = await this.client.ask(Fuzz.Tally.at(key).read(), { timeout: patience })
        if (found !== sum) this.problems.push(`${key} has ${found}, and ${sum} was added`)
      } catch (cause) {
        this.lose(key, cause)
      }
    }
  }

  private expect(key: string, found: number, wanted: number): void {
    this.sums.set(key, wanted)
    if (found !== wanted) this.problems.push(`${key} answered ${found}, and has ${wanted}`)
  }

  private lose(key: string, cause: unknown): void {
    this.unknown.add(key)
    this.problems.push(
      `a valid message to ${key} was not answered: ${cause instanceof Error ? cause.message : text(cause)}`
    )
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)))
