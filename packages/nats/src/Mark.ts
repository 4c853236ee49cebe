import { Subject } from "@troupe/contract"
import * as Effect from "effect/Effect"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"
import * as Topology from "./Topology.ts"

/** What the streams of a service say of the database that feeds and reads them. */
export interface Mark {
  readonly id: string
  /** It was made by `troupe dev`, which makes databases anew. */
  readonly development: boolean
}

/** Kept in the `metadata` of both streams (nats-server >= 2.10). */
const names = { id: "troupe-database", development: "troupe-development" } as const

export const metadata = ({ development, id }: Mark): Record<string, string> => ({
  [names.id]: id,
  ...(development ? { [names.development]: "true" } : {})
})

/** A stream as it is marked. */
export interface Marked {
  readonly stream: string
  /** None where older code made the stream. */
  readonly mark: Mark | undefined
}

/** How the streams of a service that are there are marked. */
export const read = (service: string): Effect.Effect<ReadonlyArray<Marked>, NatsError, Nats> =>
  Effect.map(
    Effect.forEach(["cmd", "evt"] as const, (kind) => Topology.find(Subject.stream(kind, service))),
    (found) =>
      found.flatMap((info) => {
        if (info === undefined) return []
        const { [names.id]: id, [names.development]: development } = info.config.metadata ?? {}
        const mark = id === undefined ? undefined : { id, development: development === "true" }
        return [{ stream: info.config.name, mark }]
      })
  )

/** A stream that is another database's; nothing where all are this one's or nobody's. */
export const foreign = (marked: ReadonlyArray<Marked>, id: string): NatsError | undefined => {
  for (const { mark, stream } of marked)
    if (mark !== undefined && mark.id !== id)
      return failure("TRP0420", stream, `it is of database ${mark.id}, and this one is ${id}`)
  return undefined
}

/** How long another one that marks the same stream, and has seen it unmarked, may take. */
const settling = "1 second"

/**
 * Marks the streams that nobody has marked, one after the other; fails with TRP0420 at one that is another database's. The
 * server has no update on a condition: of two that mark a stream at once the last one has it, and both look again a while
 * later. With TRP0421 where the user may not change the stream.
 */
export const claim = (service: string, mark: Mark): Effect.Effect<void, NatsError, Nats> =>
  Effect.gen(function* () {
    const refused = foreign(yield* read(service), mark.id)
    if (refused !== undefined) return yield* refused
    for (const { mark: is, stream } of yield* read(service)) {
      if (is !== undefined) continue
      yield* set(stream, mark)
      yield* Effect.sleep(settling)
      const taken = foreign(yield* read(service), mark.id)
      if (taken !== undefined) return yield* taken
    }
  })

/** Marks a stream, whosever it was. */
export const set = (stream: string, mark: Mark): Effect.Effect<void, NatsError, Nats> =>
  Effect.gen(function* () {
    const { api } = yield* Nats
    const found = yield* Topology.find(stream)
    if (found === undefined) return
    const kept = Object.entries(found.config.metadata ?? {}).filter(
      ([name]) => !Object.values<string>(names).includes(name)
    )
    yield* Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(stream)
        await jsm.streams.update(stream, { metadata: { ...Object.fromEntries(kept), ...metadata(mark) } })
      },
      catch: (cause) => failure("TRP0421", stream, describe(cause), cause)
    })
  })
