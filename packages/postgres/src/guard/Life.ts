import type postgres from "postgres"
import { arrays, client } from "../client.ts"
import * as Settings from "../Settings.ts"
import * as Ownership from "../Ownership.ts"
import type { Renewal } from "./Memory.ts"

export interface Options {
  readonly url: string
  readonly host: Ownership.Host
  /** Between heartbeats, in ms. */
  readonly heartbeat: number
  readonly lease: Renewal
  /** The clock by which the lease is counted. */
  readonly clock: () => bigint
  /** Whether the host can work. */
  readonly able: () => boolean
  /** The lease is over, and why. Called once at most. */
  readonly over: (why: string) => void
}

/** A host among the living, from joining until its lease is over. */
export interface Life {
  /** The connection that it lives by, for statements that should end with it. */
  readonly sql: postgres.Sql
  /** Until it is one of the living, with its lease begun. Rejects when that fails. */
  readonly joined: Promise<void>
  /** Nothing of it goes on. */
  end(timeout: number): Promise<void>
}

/** Joins the living, and sends heartbeats until the connection is lost or the lease is over. */
export const begin = ({ able, clock, heartbeat, host, lease, over, url }: Options): Life => {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  let missed: string | undefined
  const end = (timeout: number): Promise<void> => {
    ended = true
    clearTimeout(timer)
    return sql.end({ timeout })
  }
  const stop = (why: string): void => {
    if (ended) return
    lease.end()
    end(0).catch(() => {})
    over(why)
  }
  const sql = client({
    url,
    applicationName: Ownership.applicationName(host.id),
    onClose: () => stop(`its connection to PostgreSQL is lost${missed === undefined ? "" : `: ${missed}`}`),
    types: arrays
  })
  const beat = async (): Promise<void> => {
    const sent = clock()
    try {
      const known = await within(host.lease, Ownership.beat(sql, host.id, able()))
      if (ended) return
      if (!known) return stop("it was forgotten")
      missed = undefined
      if (!lease.renew(sent)) return stop("its heartbeat was late")
    } catch (error) {
      // Either the next one comes in time, or the lease ends.
      missed = said(error)
      if (!lease.held()) return stop(`its heartbeats fail: ${missed}`)
    }
    if (!ended) timer = setTimeout(() => void beat(), heartbeat)
  }
  const join = async (): Promise<void> => {
    const patience = Math.max(host.lease, 5_000)
    let sent = clock()
    const settled = async () => {
      await sql.unsafe(Settings.statement({ statementTimeout: patience }))
      sent = clock()
      await Ownership.join(sql, host)
    }
    try {
      await within(patience, settled())
    } catch (error) {
      if (!ended) await end(0).catch(() => {})
      throw error
    }
    if (ended) throw new Error("its connection to PostgreSQL is lost")
    lease.begin(sent)
    timer = setTimeout(() => void beat(), heartbeat)
  }
  return { sql, joined: join(), end }
}

/** Waits for an answer `ms` at most: postgres.js waits for ever after a connection that was lost while it was made. */
export const within = async <A>(ms: number, answer: Promise<A>): Promise<A> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    // A timer that is late itself says nothing: what has come meanwhile is heard first.
    const tell = () => reject(new Error(`no answer in ${ms} ms`))
    timer = setTimeout(() => setImmediate(() => setImmediate(tell)), ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What an error says, in one line. An `AggregateError` of sockets says nothing itself. */
export const said = (error: unknown): string => {
  const { code, errors, message } = error as { code?: string; errors?: ReadonlyArray<unknown>; message?: string }
  return (errors?.[0] === undefined ? message || code || String(error) : said(errors[0])).slice(0, 500)
}
