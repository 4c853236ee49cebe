import { ofOperators } from "./OperatorCodes.ts"
import * as Text from "./Text.ts"

export type Table = { readonly [code: `TRP${number}`]: { readonly what: string; readonly todo: string } }

/** Those that the sender of a message may get: what runs in browsers carries these and no others. */
export const ofMessages = {
  TRP0201: { what: "the payload is not what the contract declares", todo: "send it as the contract's schema says" },
  TRP0202: { what: "no such command", todo: "compare the contract's version with the service's" },
  TRP0203: { what: "no valid envelope", todo: "send ce-id, ce-type and ce-source as the contract's packages do" },
  TRP0204: { what: "the key is not canonical", todo: "percent-encode it as Key.encode does, at most 200 bytes" },
  TRP0205: {
    what: "subject and envelope disagree",
    todo: "publish on the subject that the envelope's type and key name"
  },
  TRP0206: { what: "the same id came with another request", todo: "use a new id for a new request" },
  TRP0207: { what: "the message is too large", todo: "send less than the server's max_payload, or raise it" },
  TRP0208: { what: "the answer cannot be read", todo: "compare the contract's version with the service's" },
  TRP0209: {
    what: "the event is not what the contract declares",
    todo: "compare the contract's version with the emitter's"
  },
  TRP0210: {
    what: "no answer in time",
    todo: "ask again with the same id to learn what became of it, or with a longer timeout"
  },
  TRP0211: { what: "not allowed", todo: "grant the connection's user this subject" },
  TRP0212: {
    what: "the time was over before it was handled",
    todo: "send it with a new id if it is still wanted: under this one it will not be handled"
  },
  TRP0213: {
    what: "too much is under way",
    todo: "send it again with the same id, send less at once, or raise maxInFlight"
  },
  TRP0214: {
    what: "the consistency token cannot be read",
    todo: "give `after` the token that `askWithToken` answered"
  },
  TRP0215: {
    what: "the subscriber does not listen to what the token stands for",
    todo: "wait for a subscriber that listens to the actor that was asked"
  },
  TRP0216: { what: "the place cannot be read", todo: "give `after` the place of an event of these services" },
  TRP0217: {
    what: "somebody else reads under this durable name",
    todo: "run one subscription of a name at a time; the last one that began goes on"
  },
  TRP0218: {
    what: "the subscriber has not caught up in time",
    todo: "wait longer; see how far it lags, and whether the key is parked"
  },
  TRP0301: { what: "the handler failed", todo: "read the cause; mend the handler" },
  TRP0302: {
    what: "the handler took too long, or ended its host or its connection to PostgreSQL",
    todo: "let it do less; do outside I/O elsewhere; redrive the message once that is deployed"
  },
  TRP0303: {
    what: "the handler staged what cannot be sent",
    todo: "stage what the contract declares, below the server's max_payload"
  },
  TRP0304: {
    what: "the stored state cannot be read",
    todo: "declare the older shape with State.make(old).next(new, up)"
  },
  TRP0306: {
    what: "the database refused what the handler wants",
    todo: "read the cause; mend the handler or the table"
  },
  TRP0307: {
    what: "too much waits behind a message that fails",
    todo: "mend what fails, or discard it; then redrive this one"
  },
  TRP0308: {
    what: "too many keys fail",
    todo: "mend the handler or what it needs; the partition goes on by itself"
  },
  TRP0309: {
    what: "the edge that runs the handlers does not answer as it should",
    todo: "see that it runs and has the same secret; the partition goes on by itself"
  },
  TRP0310: {
    what: "the edge runs other code than this host",
    todo: "deploy the edge of this host's version, and give each version its own url"
  },
  TRP0311: { what: "too many wait for the subscriber", todo: "wait again in a moment; see why it lags" },
  TRP0312: {
    what: "the event loop stands still, so the process is ended",
    todo: "let the handlers compute less at a time; what one of them did twice is given up"
  },
  TRP0313: {
    what: "the thread that keeps the lease does not run",
    todo: "read the cause; it is started again when the host joins again"
  },
  TRP0317: {
    what: "something that a handler had started failed after its turn",
    todo: "await what the handler starts, and listen to errors: its turn was committed without it"
  },
  TRP0318: {
    what: "an exception that no handler caused was not caught, and the host ends",
    todo: "read the cause; report it if it is in Troupe"
  },
  TRP0320: {
    what: "timers and parked messages wait for what is handled again after the database was set back",
    todo: "see why the partition does not read on; they go on by themselves"
  },
  TRP0321: {
    what: "the stream does not remember that commands were too late",
    todo: "let the service's user delete messages of its command stream (troupe permissions --write); until then a database that is set back may have such commands handled after all"
  },
  TRP0401: { what: "cannot connect to NATS", todo: "check NATS_URL and that nats-server runs" },
  TRP0402: { what: "nats-server is too old", todo: "use nats-server 2.11 or newer" },
  TRP0403: {
    what: "the stream is not as this service needs it",
    todo: "mend or delete the stream; a partition count is fixed for good"
  },
  TRP0404: { what: "JetStream refused", todo: "read the cause; run troupe doctor" },
  TRP0405: { what: "JetStream is off", todo: "start nats-server with JetStream" },
  TRP0406: {
    what: "the stream is full, or about to be",
    todo: "wait until the service has caught up, or raise the stream's max_bytes"
  },
  TRP0407: {
    what: "messages were deleted before they were handled",
    todo: "send again what is missing; raise the stream's limits, or the speed of its readers"
  },
  TRP0408: {
    what: "the stream lost messages that it had acknowledged",
    todo: "nothing is missing that went through an outbox; use replicas, or sync_interval: always"
  },
  TRP0411: {
    what: "the broker lost messages that it had acknowledged",
    todo: "nothing: they are published again from the outbox; see why its store went back"
  },
  TRP0412: {
    what: "NATS refuses the user",
    todo: "renew its credentials with troupe permissions token; a file of NATS_CREDS is read anew at each try"
  },
  TRP0413: {
    what: "NATS does not allow it",
    todo: "declare it, or let it be; then write the policy anew with troupe permissions --write, and let the server reload it"
  },
  TRP0414: {
    what: "commands were purged before their history was over",
    todo: "raise TROUPE_STREAM_MAX_BYTES, or lower TROUPE_COMMANDS_KEPT"
  },
  TRP0415: {
    what: "events are deleted before their age",
    todo: "raise TROUPE_STREAM_MAX_BYTES, or lower TROUPE_EVENTS_KEPT"
  },
  TRP0416: {
    what: "events are about to be deleted before they are handled",
    todo: "raise the stream's max_bytes now; then the speed of the subscriber"
  },
  TRP0417: {
    what: "the stream's limit was not changed",
    todo: "choose a limit that fits what the stream holds, or wait until it holds less"
  },
  TRP0418: {
    what: "no such actor",
    todo: "compare the contract's version with the service's; once the service has the actor, send it again or redrive the dead letter"
  },
  TRP0420: {
    what: "the streams belong to another database",
    todo: "give this environment a NATS of its own, or the database that the streams name; to move on purpose: troupe identity move"
  },
  TRP0421: {
    what: "the stream could not be marked with its database",
    todo: "run troupe identity move as a NATS user who may change the stream, so that no other database can use it unnoticed"
  }
} as const satisfies Table

/**
 * Every error that Troupe reports has one of these codes. Texts read
 * `TRP0412 what happened · to what · why · what to do`.
 *
 * 00xx set-up and servers, 01xx configuration and start, 02xx messages, 03xx turns, 04xx streams, 05xx database, 06xx commands of the CLI,
 * 07xx the gateway.
 */
// A call that bundlers may drop, as they may not drop a spread.
export const codes = /* @__PURE__ */ Object.assign({}, ofMessages, ofOperators)

/** One of the codes. */
export type Code = keyof typeof codes

/** `TRP0412 what happened · to what · why · what to do` */
export const text = (code: Code, to: string, why: string): string => line(code, codes[code], to, why)

/** The same of a code that came with a message: without what newer code would say of one that is not known here. */
export const textOfMessage = (code: string, to: string, why: string): string => {
  const known = code in ofMessages ? ofMessages[code as keyof typeof ofMessages] : undefined
  return known === undefined ? Text.line(`${code} · ${to} · ${why}`) : line(code, known, to, why)
}

const line = (code: string, { todo, what }: Table[keyof Table], to: string, why: string): string =>
  `${code} ${what} · ${Text.line(to)} · ${Text.lines(why)} · ${todo}`
