import type { JetStreamManager } from "@nats-io/jetstream"
import type { Sql } from "postgres"

/** A service of one actor and one subscriber of its events, and where to look at it. */
export interface Place {
  readonly name: string
  readonly actor: string
  readonly subscriber: string
  readonly sql: Sql
  readonly jsm: JetStreamManager
}

/**
 * What is still to be done: every row of the outbox should be in its stream, and the newest marks should stand at the
 * last message of each partition of both streams. Nothing, when all is done.
 */
export const unsettled = async ({ actor, jsm, name, sql, subscriber }: Place): Promise<string | undefined> => {
  const events = `EVT_${name}`
  const commands = `CMD_${name}`
  const marks = await sql`select distinct on (c.name, m.p) c.name, m.p, m.cursors from troupe.mark m
    join troupe.consumer c on c.id = m.consumer order by c.name, m.p, m.n desc`
  const seq = (consumer: string, p: number, stream: string): number =>
    JSON.parse(marks.find((mark) => mark["name"] === consumer && mark["p"] === p)?.["cursors"] ?? "{}")[stream]?.seq ??
    0
  const [{ staged }] = (await sql`select count(*)::int as staged from troupe.outbox where stream = ${events}`) as [
    { staged: number }
  ]
  const { messages } = (await jsm.streams.info(events)).state
  if (messages < staged) return `${messages} of ${staged} events published`
  const [{ enqueued }] = (await sql`select count(*)::int as enqueued from troupe.enqueued`) as [{ enqueued: number }]
  if (enqueued > 0) return `${enqueued} enqueued`
  for (let p = 0; p < 16; p++) {
    for (const [consumer, stream, filter] of [
      [`${name}.${actor}`, commands, `cmd.${name}.${p}.>`],
      [`${name}.${subscriber}`, events, `evt.${name}.${p}.${actor}.>`]
    ] as const) {
      const last = await jsm.streams.getMessage(stream, { last_by_subj: filter })
      if (last !== null && last.seq > seq(consumer, p, stream))
        return `${consumer}, partition ${p}: ${seq(consumer, p, stream)} of ${last.seq}`
    }
  }
  return undefined
}
