import { Key } from "@troupe/contract"
import * as fc from "fast-check"
import { name } from "./target.ts"

/** A message as it goes over the wire, valid or not. */
export interface OddMessage {
  readonly subject: string
  /** Where the stream's acknowledgement goes. */
  readonly reply: string | undefined
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: Uint8Array
  /** The headers cannot be read as such: this stands for them. */
  readonly block: string | undefined
}

/** Where what is answered to odd messages is counted. */
export const inbox = "_INBOX.fuzzer.odd"

type Parts = { -readonly [field in keyof OddMessage]: OddMessage[field] } & { key: string; command: string }
type Change = (parts: Parts) => void

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value) ?? "")

const unicode = fc.string({ unit: "binary", maxLength: 40 })
const line = fc.string({ unit: "binary-ascii", maxLength: 60 }).map((text) => text.replaceAll(/[\r\n\0]/g, "?"))
/** Text that a header may hold: of one line. */
const headerText = fc.oneof(
  line,
  unicode.map((text) => text.replaceAll(/[\r\n\0]/g, "?")),
  fc.constantFrom("", " ", "%", "%zz", "%C3", "-1", "1e9", "0x10", "9".repeat(16), "9".repeat(40), "null", "undefined"),
  fc.integer({ min: 900, max: 9_000 }).map((length) => "h".repeat(length))
)

const oddKeys = Array.from({ length: 400 }, (_, i) => `odd-${i}`)
/** The few keys that a message may block: those behind it wait. */
const blockedKeys = Array.from({ length: 8 }, (_, i) => `blocked-${i}`)

const lineItem = fc.record({
  sku: unicode,
  quantity: fc.integer(),
  notes: fc.array(unicode, { maxLength: 3 })
})

/** A message that the contract allows. */
const valid: fc.Arbitrary<Parts> = fc
  .record({
    command: fc.constantFrom("add", "note", "read"),
    key: fc.oneof(fc.constantFrom(...oddKeys), unicode),
    id: fc.uuid(),
    n: fc.integer({ min: -1_000_000, max: 1_000_000 }),
    text: fc.oneof(unicode, fc.constant("refuse")),
    lines: fc.array(lineItem, { maxLength: 4 }),
    asks: fc.boolean()
  })
  .map(({ asks, command, id, key, lines, n, text }) => {
    const body = command === "add" ? { n } : command === "read" ? {} : { text, lines, kind: "a", size: null }
    const named = Key.encode(key) === undefined ? "odd" : key
    return {
      subject: "",
      reply: undefined,
      block: undefined,
      command,
      key: named,
      headers: [
        ["ce-specversion", "1.0"],
        ["ce-id", id],
        ["ce-type", `${name}.Tally.${command}`],
        ["ce-source", "fuzzer"],
        ["Nats-Msg-Id", id],
        ...(asks
          ? ([
              ["Troupe-Reply-To", `${inbox}.1`],
              ["Troupe-Deadline-Ms", "5000"]
            ] as const)
          : [])
      ],
      body: json(body)
    }
  })

const set =
  (name: string, value: string): Change =>
  (parts) => {
    parts.headers = [...parts.headers.filter(([one]) => one !== name), [name, value]]
  }
/** Sends it to an actor or a command that there is not; `agrees`: the envelope says so, too. */
const aim =
  (actor: string, command: string, agrees: boolean): Change =>
  (parts) => {
    parts.subject = `cmd.${name}.${actor}.${command}.${Key.encode(parts.key)}`
    if (agrees) set("ce-type", `${name}.${actor}.${command}`)(parts)
  }
const envelope = [
  "ce-id",
  "ce-type",
  "ce-source",
  "ce-subject",
  "ce-time",
  "ce-specversion",
  "ce-dataversion",
  "Troupe-Correlation-Id",
  "Troupe-Causation-Id",
  "Troupe-Lane-Position",
  "Troupe-Deadline-Ms",
  "Troupe-Reply-To",
  "Troupe-Outcome",
  "Troupe-Origin-Id",
  "traceparent",
  "Nats-Msg-Id"
]

/** What takes the sense out of a message, whatever else it has: it is not handled. */
const breaking: ReadonlyArray<fc.Arbitrary<Change>> = [
  // A header that has to be there is missing, empty, or of another message.
  fc.constantFrom("ce-id", "ce-type", "ce-source").map(
    (gone): Change =>
      (parts) =>
        void (parts.headers = parts.headers.filter(([one]) => one !== gone))
  ),
  fc.constantFrom("ce-id", "ce-type", "ce-source").map((empty) => set(empty, "")),
  fc
    .constantFrom("Tally.add", "fuzz.Tally.gone", "fuzz.Gone.add", "other.Tally.add", "fuzz.Tally.add.x", "fuzz")
    .map((type) => set("ce-type", type)),
  // A body that is no JSON, or JSON that the contract does not allow.
  fc.uint8Array({ maxLength: 200 }).map(
    (bytes): Change =>
      (parts) =>
        void (parts.body = Uint8Array.of(0xff, ...bytes))
  ),
  fc.constantFrom("", "{", "[1,", '{"n":1', "nul", "\u{feff}{}", '{"n":1}{"n":1}', "'a'").map(
    (text): Change =>
      (parts) =>
        void (parts.body = utf8(text))
  ),
  fc.jsonValue({ maxDepth: 4 }).map(
    (value): Change =>
      (parts) =>
        void (parts.body = json([value]))
  ),
  fc.constantFrom<unknown>("1", null, 0.5, 1e300, true, [], {}).map((n): Change => (parts) => {
    parts.body = json({ n, text: n === "1" ? 1 : n, lines: 1 })
    if (parts.command === "read") parts.body = json([n])
  }),
  fc.integer({ min: 10, max: 200 }).map(
    (depth): Change =>
      (parts) =>
        void (parts.body = utf8("[".repeat(depth) + "]".repeat(depth)))
  ),
  // What only a server writes.
  fc.constantFrom("Nats-Scheduler", "Nats-Stream", "Nats-Subject").map((forged) => set(forged, "forged")),
  // No such command, actor, or key.
  fc
    .tuple(fc.constantFrom("gone", "toString", "__proto__", "constructor"), fc.boolean())
    .map(([command, agrees]) => aim("Tally", command, agrees)),
  fc
    .tuple(fc.constantFrom("Gone", "toString", "__proto__"), fc.boolean())
    .map(([actor, agrees]) => aim(actor, "add", agrees)),
  fc.constantFrom("%41", "%zz", "%", "%c3%a9", "%FF", "a%2e", "é", "x".repeat(300), "\u{1F600}").map(
    (token): Change =>
      (parts) =>
        void (parts.subject = `cmd.${name}.Tally.${parts.command}.${token}`)
  ),
  // Too few or too many tokens: no stream takes it.
  fc.constantFrom("cmd.fuzz.Tally.add", "cmd.fuzz.Tally.add.k.1", "cmd.fuzz", "cmd.fuzz.1.Tally.add.k.k").map(
    (subject): Change =>
      (parts) =>
        void (parts.subject = subject)
  )
]

/** What bends a message: it may be handled or not, as long as nothing comes to harm. */
const bending: ReadonlyArray<fc.Arbitrary<Change>> = [
  fc.tuple(fc.constantFrom(...envelope), headerText).map(([header, text]) => set(header, text)),
  // Twice, with another value or the same.
  fc.tuple(fc.constantFrom(...envelope), headerText).map(
    ([header, text]): Change =>
      (parts) =>
        void (parts.headers = [...parts.headers, [header, text]])
  ),
  // In other letters.
  fc.constantFrom("CE-ID", "Ce-Type", "ce-SOURCE").map((header) => set(header, "x")),
  fc.array(fc.tuple(fc.stringMatching(/^[!-9;-~]{1,20}$/), headerText), { maxLength: 30 }).map(
    (more): Change =>
      (parts) =>
        void (parts.headers = [...parts.headers, ...more])
  ),
  fc.constantFrom("0", "1", "5", "999999999999", "-5", "1.5").map((ms) => set("Troupe-Deadline-Ms", ms)),
  fc
    .constantFrom(
      "_INBOX",
      "_INBOX.>",
      "_INBOX.*.a",
      "cmd.fuzz.Tally.add.k",
      "evt.fuzz.Tally.added.k",
      "$SYS.REQ",
      "a b"
    )
    .map((to) => set("Troupe-Reply-To", to)),
  fc.constantFrom(`${inbox}.ack`, "_INBOX.nobody.x").map(
    (reply): Change =>
      (parts) =>
        void (parts.reply = reply)
  ),
  // A command of a contract that is newer than the service: it waits, and those behind it.
  fc
    .tuple(fc.constantFrom(...blockedKeys), fc.constantFrom("1", "2", "9007199254740991"))
    .map(([key, version]): Change => (parts) => {
      parts.key = key
      aim("Tally", "newer", true)(parts)
      set("Troupe-Contract", version)(parts)
    }),
  fc.constantFrom(1_000, 10_000, 100_000).map((length): Change => (parts) => {
    if (parts.command === "note") parts.body = json({ text: "a".repeat(length), lines: [], kind: "b", size: 1 })
  }),
  // Names that the contract does not know.
  fc.tuple(fc.integer({ min: 1, max: 200 }), unicode).map(([count, prefix]): Change => (parts) => {
    const more = Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, i]))
    parts.body = json({ n: 1, text: "", lines: [], kind: "a", size: null, ...more })
  }),
  fc.constantFrom('{"n":1,"n":2}', '{"__proto__":{"n":1},"n":1}', '{"n":1e0}', ' {"n" : 1} ', '{"n":-0}').map(
    (text): Change =>
      (parts) =>
        void (parts.body = utf8(text))
  )
]

/** A header block that is none, or that says less than its length. */
const block = fc.constantFrom(
  "NATS/1.0\r\n\r\n",
  "NATS/1.0 503\r\n\r\n",
  "NATS/1.0 503 No Responders\r\nce-id: 1\r\n\r\n",
  "NATS/1.0\r\nce-id\r\n\r\n",
  "NATS/1.0\r\n: x\r\nce-id:1\r\n\r\n",
  "NATS/1.0\r\nce-id: 1\r\n",
  "NATS/1.0\r\nce-id: 1\n\n",
  "NATS/2.0\r\nce-id: 1\r\n\r\n"
)

/** Messages for keys of the fuzzer's own, and for those of valid messages, which they must not touch. */
export const oddMessages = (validKeys: ReadonlyArray<string>): fc.Arbitrary<OddMessage> => {
  const bent = fc.array(fc.oneof(...bending), { maxLength: 2 })
  const broken = fc.oneof(...breaking)
  return fc.oneof(
    { weight: 10, arbitrary: fc.tuple(valid, bent).map(([parts, changes]) => built(parts, changes)) },
    {
      weight: 8,
      arbitrary: fc.tuple(valid, bent, broken).map(([parts, bent, broken]) => built(parts, [...bent, broken]))
    },
    {
      weight: 4,
      arbitrary: fc.tuple(valid, fc.constantFrom(...validKeys), broken).map(([parts, key, broken]) => {
        // The key is chosen last: what blocks a key is for other keys.
        return built(parts, [(one) => void (one.key = key), broken])
      })
    },
    {
      weight: 1,
      arbitrary: fc.tuple(valid, block).map(([parts, block]) => built(parts, [(one) => void (one.block = block)]))
    }
  )
}

const built = (parts: Parts, changes: ReadonlyArray<Change>): OddMessage => {
  const one = { ...parts }
  for (const change of changes) change(one)
  const subject = one.subject || `cmd.${name}.Tally.${one.command}.${Key.encode(one.key)}`
  return { subject, reply: one.reply, headers: one.headers, body: one.body, block: one.block }
}
