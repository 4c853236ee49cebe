// Counts up to the same total in each key, and looks whether that happened once and in order.
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { headers as natsHeaders, type NatsConnection } from "@nats-io/transport-node"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./world.ts"

export const keys = ["a", "b", "c", "d", "e", "f"]
/** Publishes so many `add`s of 1 to each key, and answers the stream's last sequence. */
export const add = async (nats: NatsConnection, name: string, rounds: number): Promise<number> => {
  let last = 0
  for (let round = 0; round < rounds; round++) {
    for (const key of keys) last = (await publish(nats, `cmd.${name}.Counter.add.${key}`, { n: 1 })).seq
  }
  return last
}

export const publish = (nats: NatsConnection, subject: string, payload: object, position?: number) => {
  const [, service, actor, what] = subject.split(".")
  const headers = natsHeaders()
  headers.set("ce-id", crypto.randomUUID())
  headers.set("ce-type", `${service}.${actor}.${what}`)
  headers.set("ce-source", "test")
  if (position !== undefined) headers.set("Troupe-Lane-Position", String(position))
  return jetstream(nats).publish(subject, JSON.stringify(payload), { headers })
}

export const lastOf = async (nats: NatsConnection, stream: string): Promise<number> =>
  (await (await jetstreamManager(nats)).streams.info(stream)).state.last_seq

/** Waits until both the actor and its subscriber have counted so far; and looks whether each event was handled once, in order. */
export const counted = ({ name, sql }: World.World, rounds: number) =>
  Effect.gen(function* () {
    yield* World.until(
      () =>
        sql`select count(*)::int as rows, (select array_agg(distinct s.body) from troupe.state s
              join troupe.consumer c on c.id = s.consumer where c.name = ${`${name}.Counter`}) as states from app.log`
          .then(([row]) => row as { readonly rows: number; readonly states: ReadonlyArray<string> | null })
          .catch(() => undefined),
      (seen) => (seen?.rows ?? 0) >= rounds * keys.length && seen?.states?.join() === String(rounds)
    )
    const rows = yield* Effect.promise(() => sql`select key, total, nth from app.log order by id`)
    const wanted = Array.from({ length: rounds }, (_, i) => [i + 1, i + 1])
    for (const key of keys) {
      const seen = rows.filter((row) => row["key"] === key).map((row) => [row["total"], row["nth"]])
      assert.deepStrictEqual(seen, wanted, `${key}: none lost, none twice, in order`)
    }
  })

/** The totals of each key's events as the stream has them. */
export const events = async (nats: NatsConnection, name: string) => {
  const jsm = await jetstreamManager(nats)
  const { first_seq, last_seq } = (await jsm.streams.info(`EVT_${name}`)).state
  const found: Array<{ readonly key: string; readonly total: number; readonly id: string; readonly position: number }> =
    []
  for (let seq = first_seq; seq <= last_seq; seq++) {
    const message = await jsm.streams.getMessage(`EVT_${name}`, { seq })
    if (message === null) continue
    found.push({
      key: message.subject.split(".").at(-1)!,
      total: message.json<{ total: number }>().total,
      id: message.header.get("ce-id"),
      position: Number(message.header.get("Troupe-Lane-Position"))
    })
  }
  return found
}

export const trouble = async (host: World.HostProcess): Promise<ReadonlyArray<string>> =>
  (await (await fetch(`${host.url}/readyz`)).json()).trouble
