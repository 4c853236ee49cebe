// A process that has joined the living and owns partition 0, so that it can stand still: node process.ts '{"url": ...}'.
import { writeSync } from "node:fs"
import { Sql } from "@troupe/postgres"
import { Ownership } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Guard from "../../src/guard/Guard.ts"

export interface Settings {
  readonly url: string
  readonly host: string
  readonly consumer: number
  /** Ids of messages that run. */
  readonly running: ReadonlyArray<string>
  /** What it says when it is ended is JSON. */
  readonly json?: boolean
  /** What it does then: computes for some ms; blocks for some ms without computing; or ends with last words. */
  readonly then: { readonly compute: number } | { readonly block: number } | "end"
}

const { consumer, host: id, json = false, running, then, url }: Settings = JSON.parse(process.argv[2]!)
const databaseUrl = Redacted.make(url)
const host: Ownership.Host = { id, name: "test", contract: 1, consumers: [consumer], lease: 1_000 }
const messages = running.map((id) => ({ consumer, p: 0, id, what: `x.X.burn ${id}, id ${id}` }))

const stand = (ms: number): void => {
  const until = performance.now() + ms
  if (then === "end" || "block" in then) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  else while (performance.now() < until);
}

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const guard = yield* Guard.make({
        name: "the host",
        databaseUrl,
        heartbeat: 100,
        lease: host.lease,
        bounds: { noteAfter: 500, endAfterCpu: 3_000, endAfter: 6_000 },
        json
      })
      const sql = Context.get(yield* Layer.build(Sql.layer({ url: databaseUrl, max: 1 })), Sql)
      yield* guard.join(host, new Map([[consumer, "x.X"]]))
      const taken = yield* Effect.promise(() => Ownership.take(sql, consumer, [0], host))
      writeSync(1, `joined ${taken.length}\n`)
      const places = messages.map(guard.board.begin)
      if (then === "end") {
        guard.lastWords("a test", messages)
        process.kill(process.pid, "SIGKILL")
      } else {
        const ms = "block" in then ? then.block : then.compute
        // The lease is looked at right after the loop stood, before anything else runs.
        yield* Effect.sync(() => {
          stand(ms)
          writeSync(1, `stood, lease ${guard.lease.held() ? "held" : "lost"}\n`)
          places.forEach(guard.board.end)
        })
        return yield* Effect.never
      }
    })
  )
)
