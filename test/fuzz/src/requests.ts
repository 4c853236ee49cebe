import * as fc from "fast-check"
import { name } from "./target.ts"

/** A request as it goes over the wire, valid or not. */
export interface OddRequest {
  readonly method: string
  readonly head: string
  readonly body: Uint8Array
  /** Its length is as its headers say, so another request may follow on the connection. */
  readonly isFramed: boolean
}

const unicode = fc.string({ unit: "binary", maxLength: 30 })
/** What a header may hold, for a parser that is strict. */
const clean = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.constantFrom("", "%", "null", "*", "=", ";", '"', "x".repeat(300), "\u{e9}\u{1F600}")
)
const dirty = fc.oneof(
  fc.string({ unit: "binary-ascii", maxLength: 60 }).map((text) => text.replaceAll(/[\r\n\0]/g, "?")),
  unicode.map((text) => text.replaceAll(/[\r\n\0]/g, "?")),
  fc.constantFrom("", " ", "%", "\t", "null", "*", "\u{7f}", "=", ";", '"', "x".repeat(300), "x".repeat(8_000))
)

const text = fc.oneof({ weight: 15, arbitrary: clean }, { weight: 1, arbitrary: dirty })

const methods = fc.oneof(
  { weight: 12, arbitrary: fc.constant("POST") },
  { weight: 4, arbitrary: fc.constant("GET") },
  {
    weight: 3,
    arbitrary: fc.constantFrom("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "post", "BREW", "G\u{1}T", "")
  }
)

const encoded = (value: string): string => encodeURIComponent(value.toWellFormed())
const keys = fc.oneof(
  fc.nat(200).map((i) => `http-${i}`),
  unicode.map(encoded),
  fc.constantFrom("", "%", "%zz", "%C3", "%00", "..", "%2e%2e", "%2F", "a%2Fb", "a".repeat(300))
)
const commands = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("add", "note", "read") },
  { weight: 1, arbitrary: fc.constantFrom("gone", "toString", "__proto__", "", "add%2F", "add/more") }
)
const places = fc.oneof(
  fc.constantFrom("start", "2020-01-01T00:00:00Z", "0", "fuzz.1.1", "fuzz.AAAA", "now"),
  text.map(encoded)
)
const paths = fc.oneof(
  { weight: 40, arbitrary: fc.tuple(keys, commands).map(([key, command]) => `/v1/${name}/Tally/${key}/${command}`) },
  { weight: 8, arbitrary: fc.constant(`/v1/${name}`) },
  {
    weight: 4,
    arbitrary: fc.tuple(places, keys).map(([from, key]) => `/v1/${name}/events?from=${from}&key=${key}&actor=Tally`)
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      "/livez",
      "/readyz",
      "/metrics",
      "/v1",
      "/v1/",
      "/v1/none",
      "/v1/none/Tally/k/add",
      `/v1/${name}/Gone/k/add`,
      `/v1/${name}/Tally/k`,
      `/v1/${name}/events?event=gone`,
      `/v1/${name}/events?actor=Tally&actor=Gone&from=start&from=start`,
      "//",
      "/../livez",
      "*",
      "livez",
      `http://other.example/v1/${name}/Tally/k/read`,
      `/${"a".repeat(4_000)}`
    )
  },
  { weight: 1, arbitrary: fc.constantFrom("/", "/openapi.json", "/asyncapi.json") },
  { weight: 4, arbitrary: fc.webPath().map((path) => path || "/") },
  { weight: 2, arbitrary: text.map((text) => `/${text.replaceAll(" ", "+")}`) }
)

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const ofContract = fc.oneof(
  fc.integer({ min: -1_000, max: 1_000 }).map((n) => ({ n })),
  fc.record({
    text: unicode,
    lines: fc.array(fc.record({ sku: unicode, quantity: fc.integer(), notes: fc.array(unicode, { maxLength: 2 }) }), {
      maxLength: 3
    }),
    kind: fc.constantFrom("a", "b", "c"),
    size: fc.oneof(fc.constant(null), fc.double())
  })
)
const attribute = fc.oneof(
  fc.constantFrom("1.0", `${name}.Tally.add`, `${name}.Tally.read`, "fuzzer", "http-1", "0.3", 1, null, ""),
  unicode
)
const cloudEvent = fc.record(
  {
    specversion: fc.oneof({ weight: 5, arbitrary: fc.constant<unknown>("1.0") }, { weight: 1, arbitrary: attribute }),
    id: fc.oneof(fc.uuid(), attribute),
    source: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>("fuzzer") }, { weight: 1, arbitrary: attribute }),
    type: fc.oneof(
      { weight: 3, arbitrary: fc.constant<unknown>(`${name}.Tally.add`) },
      { weight: 1, arbitrary: attribute }
    ),
    subject: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>("http-1") }, { weight: 1, arbitrary: attribute }),
    datacontenttype: fc.constantFrom("application/json", "text/xml", "", 1),
    data: fc.oneof(ofContract, fc.jsonValue({ maxDepth: 2 })),
    data_base64: fc.base64String({ maxLength: 40 })
  },
  { requiredKeys: ["specversion", "id"] }
)
const bodies = fc.oneof(
  { weight: 8, arbitrary: ofContract.map((value) => utf8(JSON.stringify(value))) },
  { weight: 4, arbitrary: cloudEvent.map((event) => utf8(JSON.stringify(event))) },
  { weight: 1, arbitrary: fc.array(cloudEvent, { maxLength: 3 }).map((events) => utf8(JSON.stringify(events))) },
  { weight: 3, arbitrary: fc.json({ maxDepth: 4 }).map(utf8) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 50, max: 150 }).map((depth) => utf8("[".repeat(depth) + "]".repeat(depth)))
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(5_000, 100_000, 1_100_000).map((length) => utf8(JSON.stringify("a".repeat(length))))
  }
)

const types = fc.oneof(
  { weight: 8, arbitrary: fc.constant("application/json") },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "application/cloudevents+json",
      "application/cloudevents-batch+json",
      "application/json; charset=latin1",
      "text/plain",
      "application/json;",
      ""
    )
  },
  { weight: 1, arbitrary: text }
)
const values: Readonly<Record<string, ReadonlyArray<string>>> = {
  "idempotency-key": ["a", '"quoted"', '"a\\"b"', "k".repeat(255), "k".repeat(256)],
  prefer: ["wait=1", "wait=0", "wait=99999999999", "respond-async", "wait=1, respond-async"],
  accept: ["text/event-stream", "application/json", "*/*"],
  origin: ["https://other.example", "null", "http://127.0.0.1"],
  "last-event-id": ["fuzz.1.1", "fuzz.AAAA", "0"],
  traceparent: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0"],
  "content-encoding": ["gzip", "identity"],
  "ce-id": ["1", "i".repeat(256)],
  "ce-type": [`${name}.Tally.add`, `${name}.Tally.read`, `${name}.Gone.add`],
  "ce-source": ["fuzzer", "/a/b"],
  "ce-subject": ["http-2", "%41"],
  "ce-specversion": ["1.0", "0.3"],
  "ce-time": ["2026-01-01T00:00:00Z", "never"]
}
const known = fc
  .constantFrom(...Object.entries(values))
  .chain(([name, some]) =>
    fc.tuple(fc.constant(name), fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...some) }, text))
  )
const headers = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: known },
    { weight: 10, arbitrary: fc.tuple(fc.stringMatching(/^x-[a-z-]{1,20}$/), text) },
    { weight: 1, arbitrary: fc.tuple(dirty, dirty) }
  ),
  { maxLength: 4 }
)
const hosts = fc.oneof(
  { weight: 20, arbitrary: fc.constant<ReadonlyArray<string>>(["127.0.0.1"]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<ReadonlyArray<string>>(
      [],
      ["a", "b"],
      ["a/b"],
      ["u@h"],
      ["[::1]:80"],
      ["h:99999999"],
      [""]
    )
  }
)

/** What fits its path, for a part of the requests: they come further. */
const fits = fc.oneof(
  { weight: 2, arbitrary: fc.constant(() => ({})) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.integer(), unicode, fc.uuid()).map(([n, text, id]) => (path: string): Partial<Fitting> => {
      const [, , service, actor, , command] = path.split("/")
      if (service !== name || (actor !== undefined && actor !== "Tally")) return {}
      const data = command === "note" ? { text, lines: [], kind: "a", size: n } : command === "read" ? {} : { n }
      const event = { specversion: "1.0", id, source: "fuzzer", type: `${name}.Tally.add`, subject: "http-1", data }
      const [type, sent] = actor === undefined ? ["application/cloudevents+json", event] : ["application/json", data]
      return { method: "POST", type, body: utf8(JSON.stringify(sent)), hosts: ["127.0.0.1"] }
    })
  }
)
interface Fitting {
  readonly method: string
  readonly type: string
  readonly body: Uint8Array
  readonly hosts: ReadonlyArray<string>
}

/** Requests with one of these tokens, or none, or another text. */
export const oddRequests = (tokens: ReadonlyArray<string>): fc.Arbitrary<OddRequest> => {
  const authorization = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...tokens).map((token) => `Bearer ${token}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<string | undefined>(undefined, "Bearer", "Bearer ", "Basic dTpw", "bearer a.b.c")
    },
    { weight: 1, arbitrary: text.map((text) => `Bearer ${text}`) }
  )
  const framing = fc.oneof(
    { weight: 20, arbitrary: fc.constant("length" as const) },
    { weight: 2, arbitrary: fc.constant("chunked" as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "none" as const,
        "short" as const,
        "long" as const,
        "both" as const,
        "bad" as const,
        "cut" as const
      )
    }
  )
  return fc
    .record({ method: methods, path: paths, hosts, type: types, headers, authorization, body: bodies, framing, fits })
    .map(({ fits, ...drawn }) => {
      const { authorization, body, framing, headers, hosts, method, path, type } = { ...drawn, ...fits(drawn.path) }
      const lines = [
        `${method} ${path} HTTP/1.1`,
        ...hosts.map((host) => `host: ${host}`),
        ...(authorization === undefined ? [] : [`authorization: ${authorization}`]),
        `content-type: ${type}`,
        ...headers.map(([name, value]) => `${name}: ${value}`),
        ...framed(framing, body.length)
      ]
      const head = `${lines.join("\r\n")}\r\n\r\n`
      const chunks =
        framing === "chunked" ? [utf8(`${body.length.toString(16)}\r\n`), body, utf8("\r\n0\r\n\r\n")] : [body]
      const all = body.length === 0 && framing === "chunked" ? [utf8("0\r\n\r\n")] : chunks
      return {
        method,
        head: framing === "cut" ? head.slice(0, head.length / 2) : head,
        body: framing === "cut" ? new Uint8Array() : Buffer.concat(all),
        isFramed: framing === "length" || framing === "chunked"
      }
    })
}

const framed = (
  framing: "length" | "chunked" | "none" | "short" | "long" | "both" | "bad" | "cut",
  length: number
): ReadonlyArray<string> => {
  if (framing === "none") return []
  if (framing === "chunked") return ["transfer-encoding: chunked"]
  if (framing === "bad") return ["content-length: -1"]
  if (framing === "both") return [`content-length: ${length}`, "transfer-encoding: chunked"]
  const said = framing === "short" ? Math.max(0, length - 1) : framing === "long" ? length + 10 : length
  return [`content-length: ${said}`]
}
