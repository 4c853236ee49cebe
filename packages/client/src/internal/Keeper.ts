import { type MsgHdrs, headers } from "@nats-io/nats-core"
import { Subject } from "@troupe/contract"
import { ClientError, NotConnected, TakenOver } from "../ClientError.ts"
import type { Link } from "./Link.ts"
import * as Place from "./Place.ts"
import { failure } from "./Reader.ts"
import * as Api from "./streamApi.ts"

/** A place is saved after so many events, and after so many ms. */
const events = 100
const pause = 1_000
/** More than so many events are not handled on top of the place that is saved: so many come again after a crash. */
const most = 256
/** So many saves in a row that are refused end the subscription: a second apart. */
const untaken = 10

/** Keeps the place of one durable subscription in one service: one message, replaced by compare-and-set. */
export class Keeper {
  /** Why it no longer keeps anything. */
  failed: ClientError | undefined
  private readonly link: Link
  private readonly durable: string
  private readonly service: string
  private readonly subject: string
  private readonly wake: () => void
  /** Of this subscription: whose place it is. */
  private readonly by = crypto.randomUUID()
  private revision = 0
  private place: Place.Place | undefined
  private unsaved = 0
  /** Handled since the place that was saved last. */
  private ahead = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private saving: Promise<void> | undefined
  private refusals = 0
  private closed = false

  constructor(link: Link, service: string, caller: string, durable: string, wake: () => void) {
    this.link = link
    this.durable = durable
    this.service = service
    this.subject = Subject.place(service, caller, durable)
    this.wake = wake
  }

  /** The place that is kept, if any. */
  async load(): Promise<Place.Place | undefined> {
    const kept = await this.stored()
    this.revision = kept?.revision ?? 0
    return kept?.place
  }

  /** Makes the place that was loaded ours: whoever had it hears so when it saves its own. False when it is another by now. */
  claim(place: Place.Place): Promise<boolean> {
    this.place = place
    return this.write(place)
  }

  /** All up to `place` is handled, with so many events. */
  handled(place: Place.Place, count: number): void {
    this.place = place
    this.unsaved += count
    this.ahead += count
    if (this.unsaved >= events) void this.save()
    else this.timer ??= setTimeout(() => void this.save(), pause)
  }

  /** Whether the next event has to wait until a place is saved. */
  get isBehind(): boolean {
    return this.ahead >= most
  }

  /** Saves what is not saved yet, 2 s at most. */
  async close(): Promise<void> {
    this.closed = true
    const done = this.timer === undefined && this.unsaved === 0 ? this.saving : this.save()
    let patience: ReturnType<typeof setTimeout> | undefined
    await Promise.race([done, new Promise((resolve) => (patience = setTimeout(resolve, 2_000)))])
    clearTimeout(patience)
    clearTimeout(this.timer)
  }

  private save(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    this.unsaved = 0
    return (this.saving = this.saveAfter(this.saving))
  }

  private async saveAfter(before: Promise<void> | undefined): Promise<void> {
    await before
    const { ahead, place } = this
    if (place === undefined || this.failed !== undefined) return
    try {
      if (!(await this.write(place))) return this.fail(this.taken())
      this.ahead -= ahead
      this.refusals = 0
      this.wake()
    } catch (cause) {
      this.refusals = cause instanceof Api.Silent ? 0 : this.refusals + 1
      if (cause instanceof ClientError) this.fail(cause)
      else if (this.refusals === untaken) this.fail(this.refused(cause))
      // Not acknowledged: it is tried again, and until then read again by whoever begins.
      else if (!this.closed) this.timer ??= setTimeout(() => void this.save(), pause)
    }
  }

  /** Whether it was written; not when another has written since. */
  private async write(place: Place.Place): Promise<boolean> {
    const ack = await this.publish(place)
    if (ack.error === undefined) {
      this.revision = ack.seq ?? 0
      return true
    }
    if (ack.error.code >= 500) throw new Api.Passing(ack.error.description)
    if (ack.error.err_code !== wrongLast && ack.error.err_code !== wrongLastConstant)
      throw new ClientError({ to: this.subject, reason: new NotConnected({ detail: ack.error.description }) })
    // It may be our own, whose acknowledgement was lost.
    const kept = await this.stored()
    if (kept?.by !== this.by) return false
    this.revision = kept.revision
    return this.write(place)
  }

  private async publish(place: Place.Place): Promise<PubAck> {
    const expected: MsgHdrs = headers()
    expected.set("Nats-Expected-Last-Subject-Sequence", String(this.revision))
    const body = JSON.stringify({ place: Place.format(new Map([[this.service, place]])), by: this.by })
    const answer = await Api.request(this.link, this.subject, this.subject, body, expected)
    return JSON.parse(answer.string())
  }

  /** What the stream keeps (direct get, nats-server ADR-31). */
  private async stored(): Promise<Kept | undefined> {
    const stream = Subject.stream("place", this.service)
    const subject = `${this.link.api(stream)}.DIRECT.GET.${stream}.${this.subject}`
    const answer = await Api.request(this.link, this.subject, subject, "")
    if (answer.headers?.code === 404) return undefined
    const { by, place } = JSON.parse(answer.string()) as { readonly by: string; readonly place: string }
    const found = Place.parse(place)?.get(this.service)
    const revision = Number(answer.headers?.get("Nats-Sequence"))
    if (found === undefined || !Number.isSafeInteger(revision))
      throw new ClientError({ to: this.subject, reason: new NotConnected({ detail: `it keeps no place: ${place}` }) })
    return { place: found, by, revision }
  }

  private refused(cause: unknown): ClientError {
    return cause instanceof Api.Unserved
      ? Api.unserved(this.subject, "place", this.service)
      : failure(this.subject, cause)
  }

  taken(): ClientError {
    return new ClientError({ to: this.subject, reason: new TakenOver({ durable: this.durable }) })
  }

  private fail(error: ClientError): void {
    this.failed ??= error
    this.wake()
  }
}

interface PubAck {
  readonly seq?: number
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string }
}
interface Kept {
  readonly place: Place.Place
  readonly by: string
  readonly revision: number
}

/** nats-server's `JSStreamWrongLastSequenceErrF` and its constant form. */
const wrongLast = 10071
const wrongLastConstant = 10164
