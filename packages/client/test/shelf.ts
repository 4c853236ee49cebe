import { jetstream, jetstreamManager, type JsMsg } from "@nats-io/jetstream"
import { headers, type NatsConnection } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { Contract, Envelope, Key, Reply, Subject } from "@troupe/contract"
import * as Schema from "effect/Schema"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { left: Schema.Int }) {}
export class Left extends Schema.Class<Left>("Left")({ left: Schema.Int }) {}
class Shelf extends Contract.actor({
  key: Schema.String,
  commands: {
    take: Contract.command({
      payload: { n: Schema.Int, note: Schema.optionalKey(Schema.String) },
      reply: Left,
      errors: [SoldOut]
    }),
    clear: Contract.command({})
  },
  events: {
    taken: Contract.event({ n: Schema.Int }).next({ n: Schema.Int, by: Schema.String }, ({ n }) => ({
      n,
      by: "nobody"
    })),
    cleared: Contract.event()
  }
}) {}
export const Shop = Contract.make("shop", { Shelf }, { version: 3 })

/** A command as the service got it. */
export interface Got {
  readonly envelope: Envelope.Envelope
  readonly msgId: string
  readonly subject: string
  readonly body: string
}
/** What the service does with a command: an outcome and a body, or nothing at all. */
export type Answer = (got: Got) => { readonly outcome: Reply.Outcome; readonly body: string } | undefined

/** As much of a service as a client sees: its streams, and an owner that answers from its inbox what it answered before. */
export class ShelfService implements AsyncDisposable {
  readonly got: Array<Got> = []
  answer: Answer = () => ({ outcome: "reply", body: '{"left":1}' })
  private readonly answered = new Map<string, { readonly outcome: Reply.Outcome; readonly body: string }>()
  readonly nc: NatsConnection
  private constructor(nc: NatsConnection) {
    this.nc = nc
  }

  static async start(
    servers: string,
    limits: { max_msgs?: number; max_msg_size?: number } = {},
    login: object = {}
  ): Promise<ShelfService> {
    const nc = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 50, ...login })
    const service = new ShelfService(nc)
    const jsm = await jetstreamManager(nc)
    for (const kind of ["cmd", "evt"] as const) {
      await jsm.streams.add({
        name: Subject.stream(kind, "shop"),
        subjects: [Subject.accepted(kind, "shop")],
        subject_transform: { src: Subject.accepted(kind, "shop"), dest: Subject.transformed(kind, "shop", 16) },
        discard: "new",
        ...limits
      })
    }
    await jsm.streams.add({
      name: Subject.stream("place", "shop"),
      subjects: [Subject.place("shop", "*", "*")],
      discard: "new",
      max_msgs_per_subject: 1,
      allow_direct: true
    })
    const consumer = await jetstream(nc).consumers.get(Subject.stream("cmd", "shop"))
    const messages = await consumer.consume({ expires: 2_000, idle_heartbeat: 500 })
    void (async () => {
      for await (const msg of messages) service.handle(msg)
    })()
    return service
  }

  private handle(msg: JsMsg): void {
    const envelope = Envelope.fromHeaders((name) => msg.headers?.get(name))
    if ("why" in envelope) throw new Error(envelope.why)
    const got = { envelope, msgId: msg.headers?.get("Nats-Msg-Id") ?? "", subject: msg.subject, body: msg.string() }
    this.got.push(got)
    const reply = this.answered.get(envelope.id) ?? this.answer(got)
    if (reply === undefined) return
    this.answered.set(envelope.id, reply)
    if (envelope.replyTo !== undefined && Envelope.isReplyTo(envelope.replyTo))
      this.reply(envelope.replyTo, envelope, reply)
  }

  reply(
    to: string,
    ask: Envelope.Envelope,
    { body, outcome }: { readonly outcome: Reply.Outcome; readonly body: string }
  ): void {
    this.nc.publish(to, body, {
      headers: natsHeaders(Reply.headers({ id: `${ask.id}-r`, outcome, body }, ask, "shop"))
    })
  }

  /** Emits as the owner of the lane would; resolves when the stream has it. */
  async emit(name: string, key: string, payload: unknown, more: Partial<Envelope.Envelope> = {}): Promise<void> {
    const type = `shop.Shelf.${name}`
    const envelope = { id: crypto.randomUUID(), type, source: "shop", key, ...more }
    const body = typeof payload === "string" ? payload : JSON.stringify(payload)
    const subject = Subject.published("evt", "shop", "Shelf", name, Key.encode(key) ?? "")
    const headers = natsHeaders({ ...Envelope.toHeaders(envelope), "Nats-Msg-Id": envelope.id })
    while (
      !(await this.nc.request(subject, body, { headers, timeout: 1_000 }).then(
        () => true,
        () => false
      ))
    );
  }

  /** How many consumers read the events. */
  async listeners(): Promise<number> {
    return (await (await jetstreamManager(this.nc)).streams.info(Subject.stream("evt", "shop"))).state.consumer_count
  }

  /** How many events the consumer that got the most was sent. */
  async delivered(): Promise<number> {
    const jsm = await jetstreamManager(this.nc)
    let most = 0
    for await (const { delivered } of jsm.consumers.list(Subject.stream("evt", "shop")))
      most = Math.max(most, delivered.consumer_seq)
    return most
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.nc.close()
  }
}

const natsHeaders = (all: Envelope.Headers) => {
  const nats = headers()
  for (const [name, value] of Object.entries(all)) nats.set(name, value)
  return nats
}
