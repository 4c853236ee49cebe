import { Sql } from "@troupe/postgres"
import { Commit, Waiting } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { type Barred, type CommitLost, unread } from "./Committer.ts"
import * as Gather from "./Gather.ts"

export interface Request {
  readonly consumer: number
  readonly p: number
  /** Of messages at hand. */
  readonly ids: ReadonlyArray<string>
  /** Subject tokens of keys whose state is not in memory. */
  readonly keys: ReadonlyArray<string>
  /** Messages at hand of which the key (its token) is parked. */
  readonly behind: ReadonlyArray<{ readonly key: string; readonly id: string }>
}

/** How a message was answered, as the inbox keeps it. */
export type Answer = Omit<Commit.InboxRow, "id">
export interface StoredState {
  readonly version: number
  readonly shape: number
  readonly body: string
}
export interface Loaded {
  /** By id: the messages that were handled before. */
  readonly inbox: ReadonlyMap<string, Answer>
  /** By token. */
  readonly states: ReadonlyMap<string, StoredState>
  /** Tokens of keys whose states are too large to be read now, beside those that are. */
  readonly postponed: ReadonlySet<string>
  /** What is parked under the same key and id. */
  readonly copies: ReadonlyArray<Omit<Waiting.Copy, "cp">>
}

/** A state up to this size, in bytes, is read in any case. */
const small = 16 * 1024
/** Bytes of larger states that are read at once; at least one for each partition that asks. */
const room = 32 * 1024 ** 2

interface Large {
  readonly consumer: number
  readonly key: string
  readonly size: number
}

/** Which of the large states of each request there is room for. */
const chosen = (requests: ReadonlyArray<Request>, large: ReadonlyArray<Large>): ReadonlySet<Large> => {
  const found = new Set<Large>()
  for (const { consumer, keys } of requests) {
    const asked = new Set(keys)
    let bytes = 0
    for (const one of large) {
      if (one.consumer !== consumer || !asked.has(one.key)) continue
      if (bytes > 0 && bytes + one.size > room / requests.length) continue
      bytes += one.size
      found.add(one)
    }
  }
  return found
}

/** One per host: merges what its partitions want to know into a query for each kind. */
export class Loader extends Context.Service<
  Loader,
  { load(request: Request): Effect.Effect<Loaded, Barred | CommitLost> }
>()("@troupe/actor/Loader") {
  static readonly layer: Layer.Layer<Loader, never, Sql> = Layer.effect(
    Loader,
    Effect.gen(function* () {
      const sql = yield* Sql
      const read = async (requests: ReadonlyArray<Request>): Promise<ReadonlyArray<Loaded>> => {
        const ids = requests.flatMap((request) => request.ids)
        const keys = requests.flatMap((request) => request.keys)
        const behind = requests.flatMap((request) => {
          const cp = Commit.numbered(request)
          return request.behind.map((one) => ({ cp, ...one }))
        })
        const consumers = [...new Set(requests.map((request) => request.consumer))]
        const [inboxRows, stateRows, copies] = await Promise.all([
          ids.length === 0
            ? []
            : sql`select consumer, p, id, outcome, body, hash, pos::float8 from troupe.inbox
                where id = any (${ids}::uuid[])`,
          keys.length === 0
            ? []
            : sql`select consumer, key, version, shape, octet_length(body) as size,
                  case when octet_length(body) <= ${small} then body end as body from troupe.state
                where consumer = any (${consumers}::int[]) and key = any (${keys}::text[])`,
          behind.length === 0 ? [] : Waiting.copies(sql, behind)
        ])
        const large = stateRows.flatMap(({ body, consumer, key, size }): Large | [] =>
          body === null ? { consumer, key, size } : []
        )
        const now = [...chosen(requests, large)]
        const largeRows =
          now.length === 0
            ? []
            : await sql`select s.consumer, s.key, s.version, s.shape, s.body from troupe.state s
                join unnest(${now.map(({ consumer }) => consumer)}::int[], ${now.map(({ key }) => key)}::text[])
                  as wanted (consumer, key) using (consumer, key)`
        const rows = [...stateRows.filter(({ body }) => body !== null), ...largeRows]
        const later = large.filter((one) => !now.includes(one))
        return requests.map(({ consumer, p }) => ({
          inbox: new Map(
            inboxRows.flatMap((row) =>
              row["consumer"] === consumer && row["p"] === p
                ? [[row["id"], { outcome: row["outcome"], body: row["body"], hash: row["hash"], pos: row["pos"] }]]
                : []
            )
          ),
          states: new Map(
            rows.flatMap(({ body, consumer: owner, key, shape, version }) =>
              owner === consumer ? [[key, { version: Number(version), shape: Number(shape), body }]] : []
            )
          ),
          postponed: new Set(later.flatMap(({ consumer: owner, key }) => (owner === consumer ? [key] : []))),
          copies: copies.filter(({ cp }) => cp === Commit.numbered({ consumer, p }))
        }))
      }
      const load = yield* Gather.make((requests: ReadonlyArray<Request>) =>
        Effect.tryPromise({ try: () => read(requests), catch: unread }).pipe(
          Effect.match({
            onSuccess: (loaded) => loaded.map((one) => Exit.succeed(one)),
            onFailure: (error) => requests.map(() => Exit.fail(error))
          })
        )
      )
      return Loader.of({ load })
    })
  )
}
