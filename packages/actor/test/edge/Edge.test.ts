import { randomUUID } from "node:crypto"
import { assert, describe, it, vi } from "@effect/vitest"
import { Edge } from "@troupe/actor/edge"
import { Actor, State } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Protocol from "../../src/edge/Protocol.ts"
import * as Signature from "../../src/edge/Signature.ts"
import { call } from "../../src/engine/EdgeCall.ts"
import { TooMuch } from "../../src/engine/TooMuch.ts"
import { endless, handlers, other, secret } from "./calls.ts"
import { declared, handled, meter, Meters, type Said } from "./meter.ts"
import { type Fetch, served } from "./server.ts"

const edge = Edge.serve([meter], { secrets: [secret] })
const remote = (url: string, secrets: ReadonlyArray<string | undefined> = [secret]) => declared.remote({ url, secrets })

const say = (command: string, payload: object = {}, key = "k"): Said => ({ id: randomUUID(), key, command, payload })

/** What a batch would commit and answer, without what no two runs share: when something was sent, and where code failed. */
const told = ({ replies, work }: Effect.Success<ReturnType<typeof handled>>): unknown =>
  JSON.parse(
    JSON.stringify({ replies, work: ordered(work) }, (name, value: unknown) =>
      name === "parsed" || name === "cursors"
        ? undefined
        : typeof value === "string"
          ? value.replace(/"ce-time":"[^"]*",?/, "").split("\n")[0]
          : name === "ce-time"
            ? undefined
            : value
    )
  )

/** Keys come to their end as they like. */
const ordered = ({ inbox, more, states, ...work }: Commit.Work) => {
  const by = <A>(name: keyof A, all: ReadonlyArray<A>) =>
    all.toSorted((one, other) => (one[name] < other[name] ? -1 : one[name] > other[name] ? 1 : 0))
  const { cleared, timers } = { cleared: by("key", more.cleared!), timers: by("key", more.timers!) }
  return { ...work, inbox: by("id", inbox), states: by("key", states), more: { ...more, cleared, timers } }
}

/** An edge that may say anything, and signs it. */
const lying =
  (
    say: (call: Protocol.Call) => unknown,
    lie: { readonly secret?: string; readonly to?: string; readonly described?: Partial<Signature.Described> } = {}
  ): Fetch =>
  async (request) => {
    const call = Protocol.call.decode(await request.text())
    assert.isTrue(call.ok)
    const body = new TextEncoder().encode(JSON.stringify(say((call as { value: unknown }).value as Protocol.Call)))
    const described = { ...(await Signature.describe(body)), ...lie.described }
    const head = Signature.ofAnswer(lie.to ?? request.headers.get(Signature.headers.signature)!, described)
    const signature = await Signature.sign(lie.secret ?? secret, head)
    const headers = { ...Signature.describing(described), [Signature.headers.signature]: signature }
    return new Response(body, { headers })
  }

const tooLarge = "with its state, or with what it wants, it has over 33554432 bytes or 500000 JSON values"

describe("a turn at the edge", () => {
  const batches: Record<string, ReadonlyArray<Said>> = {
    "everything that a turn may do": [say("read", { note: "é\0\ud83d\ude00" }), say("read", { note: "" }), say("rest")],
    "many keys": Array.from({ length: 50 }, (_, i) => say("read", { note: `${i}` }, `key ${i % 20}/é`)),
    ...Object.fromEntries(
      ["refuse", "fail", "throw", "undeclared", "nul", "event", "command", "key", "payload", "state", "large"].map(
        (how) => [`a handler that is to ${how}`, [say("read", { note: "before" }), say("break", { how }), say("rest")]]
      )
    )
  }
  for (const [name, batch] of Object.entries(batches)) {
    it.live(`stages, byte for byte, what it stages at its host: ${name}`, () =>
      Effect.gen(function* () {
        const url = yield* served(edge.fetch)
        const here = yield* handled(meter, batch)
        const there = yield* handled(remote(url), batch)
        assert.deepStrictEqual(told(there), told(here))
        assert.strictEqual(here.replies.length + here.work.more.parked!.length, batch.length)
      }).pipe(Effect.scoped)
    )
  }

  it.live("that stages what no type allows fails, as at its host", () =>
    Effect.gen(function* () {
      const url = yield* served(edge.fetch)
      for (const actor of [meter, remote(url)]) {
        const { work } = yield* handled(actor, [say("break", { how: "junk" })])
        assert.deepStrictEqual(
          work.more.dead!.map(({ code }) => code),
          ["TRP0303"]
        )
      }
    }).pipe(Effect.scoped)
  )

  /** How many turns each call had, by line. */
  const counted = Effect.gen(function* () {
    const calls: Array<ReadonlyArray<number>> = []
    const url = yield* served(async (request) => {
      const { lines } = JSON.parse(await request.clone().text()) as Protocol.Call
      calls.push(lines.map(({ turns }) => turns.length))
      return edge.fetch(request)
    })
    return { calls, url }
  })

  it.live("shares its call with those of other keys, and with those that follow", () =>
    Effect.gen(function* () {
      const { calls, url } = yield* counted
      const batch = Array.from({ length: 100 }, (_, i) => say("rest", {}, `key ${i}`))
      yield* handled(remote(url), [...batch, say("rest", {}, "key 1"), say("read", { note: "" }, "key 1")])
      assert.deepStrictEqual(
        calls.map((lines) => lines.toSorted()),
        [[...Array.from({ length: 99 }, () => 1), 3]]
      )
    }).pipe(Effect.scoped)
  )

  it.live(
    "that is refused lets those follow that come behind it; one that fails is asked for again, and they with it",
    () =>
      Effect.gen(function* () {
        const { calls, url } = yield* counted
        const [read, rest] = [say("read", { note: "" }), say("rest")]
        yield* handled(remote(url), [
          read,
          say("break", { how: "refuse" }),
          rest,
          say("break", { how: "junk" }),
          say("rest")
        ])
        assert.deepStrictEqual(calls, [[5], [1]])
        calls.length = 0
        yield* handled(remote(url), [read, say("break", { how: "throw" }), rest])
        assert.deepStrictEqual(calls, [[3], [2], [2]])
      }).pipe(Effect.scoped)
  )

  it.live("is asked for again when those before it took long: no call lasts as long as a line", () =>
    Effect.gen(function* () {
      const { calls, url } = yield* counted
      const nap = () => say("break", { how: "nap" })
      const { work } = yield* handled(remote(url), [nap(), nap(), nap()])
      assert.deepStrictEqual(calls, [[3], [1]])
      assert.strictEqual(work.inbox.length, 3)
    }).pipe(Effect.scoped)
  )

  it.live("is asked for again when its edge did not begin it", () =>
    Effect.gen(function* () {
      const asked: Array<ReadonlyArray<string>> = []
      const url = yield* served(
        lying(({ lines }) => {
          asked.push(lines.map(({ key, turns }) => `${key} ${turns.length}`))
          const done = { kind: "done", reply: "", staged: [] }
          return { lines: lines.map(({ turns }, i) => (i < 2 ? turns.map(() => done) : [])) }
        })
      )
      const batch = ["a", "b", "c", "d", "e"].map((key) => say("rest", {}, key))
      const { work } = yield* handled(remote(url), [...batch, say("rest", {}, "e")])
      assert.deepStrictEqual(asked, [["a 1", "b 1", "c 1", "d 1", "e 2"], ["c 1", "d 1", "e 2"], ["e 2"]])
      assert.strictEqual(work.inbox.length, 6)
    }).pipe(Effect.scoped)
  )

  it.live("goes in a call of its own when all would be too large for one", () =>
    Effect.gen(function* () {
      const { calls, url } = yield* counted
      const note = (key: string) => say("break", { how: "n".repeat(900_000) }, key)
      const { work } = yield* handled(remote(url), ["a", "b", "c", "d", "e", "f"].map(note))
      assert.deepStrictEqual(calls, [
        [1, 1, 1, 1],
        [1, 1]
      ])
      assert.strictEqual(work.inbox.length, 6)
      calls.length = 0
      yield* handled(remote(url), ["a", "a", "a", "a", "a", "a"].map(note))
      assert.deepStrictEqual(calls, [[4], [2]])
    }).pipe(Effect.scoped)
  )

  it.live("fails with the first call of its batch that does: one that hangs is not waited for again and again", () =>
    Effect.gen(function* () {
      let calls = 0
      const url = yield* served(async () => {
        calls++
        return new Response(null, { status: 503 })
      })
      const batch = ["a", "b", "c"].map((key) => say("break", { how: "n".repeat(3_000_000) }, key))
      const away = yield* Effect.flip(handled(remote(url), batch))
      assert.match((away as Error).message, /TRP0309 .* 503/)
      assert.strictEqual(calls, 1)
    }).pipe(Effect.scoped)
  )

  it.live(
    "that comes to more than either end reads halves its batch, and fails alone",
    () =>
      Effect.gen(function* () {
        const url = yield* served(edge.fetch)
        const huge = say("break", { how: "huge" }, "a")
        const error = yield* Effect.flip(handled(remote(url), [huge, say("rest", {}, "b")]))
        assert.instanceOf(error, TooMuch)
        const { work } = yield* handled(remote(url), [huge])
        assert.deepStrictEqual(
          work.more.dead!.map(({ code, reason }) => [code, reason]),
          [["TRP0303", tooLarge]]
        )
      }).pipe(Effect.scoped),
    // 64 MB take their time on a busy machine.
    30_000
  )

  it.live("that wants more JSON values than a host decodes fails alone", () =>
    Effect.gen(function* () {
      const { commands, events, key } = Meters.Meter.definition
      const answering = { ...commands, rest: Contract.command({ reply: Schema.Array(Schema.Int) }) }
      const Many = Contract.make("meters", { Meter: Contract.actor({ key, events, commands: answering }) })
      const many = Actor.make(Many.Meter, { state: Schema.Unknown, initial: 0 }).commands({
        ...handlers,
        rest: () => Array.from({ length: Protocol.bounds.values }, () => 0)
      })
      const url = yield* served(Edge.serve([many], { secrets: [secret] }).fetch)
      const { work } = yield* handled(remote(url), [say("rest")])
      assert.deepStrictEqual(
        work.more.dead!.map(({ code, reason }) => [code, reason]),
        [["TRP0303", tooLarge]]
      )
    }).pipe(Effect.scoped)
  )

  it.live("is asked for again when it was run behind one that the host does not take", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const state = (count: number) => JSON.stringify({ at: "1970-01-01T00:00:00.000Z", count: String(count) })
      const wrong = { kind: "event", name: "none", payload: "{}" }
      const url = yield* served(
        lying(({ lines: [line] }) => {
          asked.push(`${line!.turns.length} from ${line!.state}`)
          const next = { kind: "done", reply: "", state: state(asked.length), staged: [] }
          return { lines: [line!.turns.length === 1 ? [next] : [{ ...next, staged: [wrong] }, next]] }
        })
      )
      const { work } = yield* handled(remote(url), [say("rest"), say("rest")])
      assert.deepStrictEqual(asked, [`2 from ${state(0)}`, `1 from ${state(0)}`])
      assert.deepStrictEqual([work.states.map(({ body }) => body), work.more.dead!.length], [[state(2)], 1])
    }).pipe(Effect.scoped)
  )
})

describe("an edge that says what the contract does not declare", () => {
  const done = { kind: "done", reply: "", staged: [] } as const
  const to = { to: "bank.Safe.put", key: "s", payload: '{"cents":1}' }
  const lies: Record<string, readonly [outcome: object, code: string, why: RegExp]> = {
    "an event that is none": [
      { ...done, staged: [{ kind: "event", name: "exploded", payload: "{}" }] },
      "TRP0303",
      /meters\.Meter\.exploded is no event of the contract/
    ],
    "an event of another actor": [
      { ...done, staged: [{ kind: "event", name: "../Other.went", payload: "{}" }] },
      "TRP0303",
      /is no event of the contract/
    ],
    "an event that is not as declared": [
      { ...done, staged: [{ kind: "event", name: "read", payload: '{"note":1}' }] },
      "TRP0303",
      /meters\.Meter\.read: /
    ],
    "a command to an actor that `sends` lacks": [
      { ...done, staged: [{ kind: "command", ...to, to: "meters.Other.go" }] },
      "TRP0303",
      /it is not declared: add sends: \[Bank\.Safe, Meters\.Other\]/
    ],
    "a command to another service": [
      { ...done, staged: [{ kind: "command", ...to, to: "payments.Payment.authorize" }] },
      "TRP0303",
      /it is not declared: add sends: .*Payments\.Payment\]/
    ],
    "a command that is none": [
      { ...done, staged: [{ kind: "command", ...to, to: "bank.Safe.constructor" }] },
      "TRP0303",
      /bank\.Safe\.constructor is no command of the contract/
    ],
    "a command that is not as declared": [
      { ...done, staged: [{ kind: "command", ...to, payload: '{"cents":0.5}' }] },
      "TRP0303",
      /bank\.Safe\.put: /
    ],
    "a command to a key that is none": [
      { ...done, staged: [{ kind: "command", ...to, key: "k".repeat(201) }] },
      "TRP0303",
      /has no subject token/
    ],
    "a timer of a name that only Troupe gives": [
      { ...done, staged: [{ kind: "timer", name: "~x", delay: 1, ...to }] },
      "TRP0303",
      /is no name for a timer/
    ],
    "a timer of the past": [{ ...done, staged: [{ kind: "timer", delay: -1, ...to }] }, "TRP0303", /is no delay/],
    "a timer that is cancelled by no name": [
      { ...done, staged: [{ kind: "cancel", name: "" }] },
      "TRP0303",
      /is no name for a timer/
    ],
    "an event that no server takes": [
      {
        ...done,
        staged: [
          { kind: "command", ...to, key: "s", payload: `{"cents":1${" ".repeat(10)}}` },
          {
            kind: "event",
            name: "read",
            payload: JSON.stringify({
              note: "x".repeat(1_100_000),
              reading: { at: "1970-01-01T00:00:00.000Z", count: "0" }
            })
          }
        ]
      },
      "TRP0303",
      /over max_payload/
    ],
    "a state that is not as declared": [{ ...done, state: "{}" }, "TRP0303", /the state: /],
    "a reply that is not as declared": [{ ...done, command: "read" }, "TRP0303", /the reply: /],
    "a refusal that is not declared": [
      { kind: "refused", error: '{"_tag":"Broke","cents":1}' },
      "TRP0303",
      /undeclared/
    ],
    "a failure": [{ kind: "failed", code: "TRP0301", reason: "as it says" }, "TRP0301", /^as it says$/],
    "a failure that Postgres cannot keep": [
      { kind: "failed", code: "TRP0301", reason: `\0${"x".repeat(5_000)}` },
      "TRP0301",
      /^\\u0000x{1994}$/
    ],
    "a defect that Postgres cannot keep": [
      { kind: "died", slow: false, reason: `\0${"x".repeat(5_000)}` },
      "TRP0301",
      /^\\u0000x{1994}$/
    ],
    "what has a name that Postgres cannot keep": [
      { ...done, staged: [{ kind: "event", name: `\0${"x".repeat(5_000)}`, payload: "{}" }] },
      "TRP0303",
      /^meters\.Meter\.\\u0000x{1981}$/
    ]
  }
  for (const [name, [{ command = "break", ...outcome }, code, why]] of Object.entries(
    lies as Record<string, readonly [{ readonly command?: string }, string, RegExp]>
  )) {
    it.live(`fails that turn, and stages nothing of it: ${name}`, () =>
      Effect.gen(function* () {
        const url = yield* served(lying(() => ({ lines: [[outcome]] })))
        const payload = command === "read" ? { note: "" } : { how: "" }
        const { work } = yield* handled(remote(url), [say(command, payload)])
        const [given] = [...work.more.dead!, ...work.more.parked!]
        const { code: told, reason } = given!
        assert.strictEqual(told, code)
        assert.match(reason, why)
        assert.deepStrictEqual([work.outbox, work.states, work.more.timers], [[], [], []])
      }).pipe(Effect.scoped)
    )
  }

  it.live("keeps nothing that the contract does not know", () =>
    Effect.gen(function* () {
      const payload = '{"cents":1,"to":"me"}'
      const url = yield* served(
        lying(() => ({ lines: [[{ ...done, staged: [{ kind: "command", ...to, payload }] }]], and: "more" }))
      )
      const { work } = yield* handled(remote(url), [say("rest")])
      assert.deepStrictEqual(
        work.outbox.map(({ body, subject }) => [subject, body]),
        [["cmd.bank.Safe.put.s", '{"cents":1}']]
      )
    }).pipe(Effect.scoped)
  )

  it.live("that sets a timer twice sets it as it was set last", () =>
    Effect.gen(function* () {
      const timer = { kind: "timer", name: "t", ...to }
      const url = yield* served(
        lying(() => ({
          lines: [
            [
              {
                ...done,
                staged: [
                  { ...timer, delay: 1 },
                  { ...timer, delay: 2 }
                ]
              }
            ]
          ]
        }))
      )
      const { work } = yield* handled(remote(url), [say("rest")])
      assert.deepStrictEqual(
        work.more.timers!.map(({ delay, name }) => [name, delay]),
        [["t", 2]]
      )
    }).pipe(Effect.scoped)
  )
})

describe("a message alone is parked", () => {
  it.live("that its edge reads otherwise than its host, though both declare the same", () =>
    Effect.gen(function* () {
      const { commands, events, key } = Meters.Meter.definition
      const demanding = { ...commands, rest: Contract.command({ payload: { hours: Schema.Int } }) }
      const Strict = Contract.make("meters", { Meter: Contract.actor({ key, events, commands: demanding }) })
      const strict = Actor.make(Strict.Meter, { state: Schema.Unknown, initial: 0 }).commands(handlers)
      const url = yield* served(Edge.serve([strict], { secrets: [secret] }).fetch)
      const { work } = yield* handled(remote(url), [say("rest", {}, "bad"), say("break", { how: "" }, "good")])
      assert.deepStrictEqual(
        work.more.parked!.map(({ code, key }) => [code, key]),
        [["TRP0301", "bad"]]
      )
      assert.match(work.more.parked![0]!.reason, /^the edge reads otherwise than its host: rest: /)
      assert.strictEqual(work.inbox.length, 1)
    }).pipe(Effect.scoped)
  )
})

/** What an edge of protocol 1 says to a call of another protocol, whose signature is not the one that it expects. */
const ofProtocol1: Fetch = async () => new Response("no secret here signed it, or not for this path", { status: 401 })

describe("the partition waits, and no message is to blame,", () => {
  const fine: Fetch = edge.fetch
  const newer = Contract.make("meters", { Meter: Meters.Meter.definition }, { version: 2 })
  const versions = [
    Actor.make(newer.Meter, { state: Schema.Int, initial: 0 }).commands(handlers),
    Actor.make(Meters.Meter, {
      state: State.make(Schema.Int).next(Schema.String, String),
      initial: ""
    }).commands(handlers)
  ]
  const elsewhere = Edge.serve(
    [Actor.make(Meters.Other, { state: Schema.Int, initial: 0 }).commands({ go: () => {} })],
    { secrets: [secret] }
  )
  const none = { kind: "done", reply: "", staged: [] }
  const aways: Record<string, readonly [edge: Fetch, why: RegExp]> = {
    "when it is not signed": [async () => Response.json({ lines: [[none]] }), /TRP0309 .* not signed with our secret/],
    "when another secret signed it": [lying(() => ({ lines: [[none]] }), { secret: other }), /TRP0309 .* not signed/],
    "when it is the answer to another call": [
      lying(() => ({ lines: [[none]] }), { to: "0".repeat(64) }),
      /TRP0309 .* not signed/
    ],
    "when it says more bytes than it may": [
      lying(() => ({ lines: [[none]] }), { described: { length: Protocol.limit + 1 } }),
      /TRP0309 .* has more than 33554432 bytes/
    ],
    "when it has more bytes than it signed": [
      lying(() => ({ lines: [[none]] }), { described: { length: 5 } }),
      /TRP0309 .* is not the one that it signed/
    ],
    "when it has another hash than it signed": [
      lying(() => ({ lines: [[none]] }), { described: { hash: "0".repeat(64) } }),
      /TRP0309 .* is not the one that it signed/
    ],
    "when it has more JSON values than a host parses": [
      lying(() => ({ lines: [[none]], more: Array.from({ length: Protocol.bounds.values }, () => 0) })),
      /TRP0309 .* cannot be read: it has more than 500000 values/
    ],
    "when it is nested deeper than an answer is": [
      lying(() => ({ lines: [[none]], more: JSON.parse("[".repeat(11) + "]".repeat(11)) as unknown })),
      /TRP0309 .* cannot be read: it is nested deeper than 10/
    ],
    "when its texts have more JSON values than a host decodes": [
      lying(() => ({ lines: [[{ ...none, state: `[${"0,".repeat(Protocol.bounds.values)}0]` }]] })),
      /TRP0309 .* cannot be read: with its texts it has more JSON/
    ],
    "when a text of it is nested too deeply": [
      lying(() => ({ lines: [[{ ...none, reply: "[".repeat(1_001) + "]".repeat(1_001) }]] })),
      /TRP0309 .* cannot be read: with its texts it has more JSON/
    ],
    "when it has no memory left for the call": [
      async () => new Response("it reads as many bodies as it has memory for", { status: 429 }),
      /TRP0322 .* 429: it reads as many/
    ],
    "when it is of an older Troupe": [ofProtocol1, /TRP0310 .* 401: no secret here signed it/],
    "when it is too large as somebody says who has not our secret": [
      lying(() => ({ tooLarge: true }), { secret: other }),
      /TRP0309 .* not signed/
    ],
    "when turns are missing": [lying(() => ({ lines: [] })), /TRP0309 .* it answers what it was not asked/],
    "when there are more than it was asked": [lying(() => ({ lines: [[none, none]] })), /TRP0309 .* was not asked/],
    "when it begins nothing": [lying(() => ({ lines: [[]] })), /TRP0309 .* was not asked/],
    "when it is no answer": [lying(() => ({ lines: [[{ kind: "fine" }]] })), /TRP0309 .* cannot be read/],
    "when a code is none of a handler": [
      lying(() => ({ lines: [[{ kind: "failed", code: "TRP0212", reason: "" }]] })),
      /TRP0309 .* cannot be read/
    ],
    "when something in between answers": [
      async () => new Response("<h1>Bad\n gateway</h1>", { status: 502 }),
      /TRP0309 .* 502: <h1>Bad gateway<\/h1>/
    ],
    "when what it says is not for a person's terminal": [
      async () => new Response("\x1b[2J\u0007 no \u202e", { status: 500 }),
      /TRP0309 .* 500: \[2J no +· see that/
    ],
    "when it ends in the middle": [() => Promise.reject(new Error("gone")), /TRP0309 .* (closed|hang up|terminated)/],
    "when it has another secret": [Edge.serve([meter], { secrets: [other] }).fetch, /TRP0309 .* 401: no secret here/],
    "when it has none": [Edge.serve([meter], { secrets: () => [undefined] }).fetch, /TRP0309 .* 500: no secret is set/],
    "when its contract is another": [
      Edge.serve([versions[0]!], { secrets: [secret] }).fetch,
      /TRP0310 .* 409: it runs .* contract 2; .*; the host .* contract 1;/
    ],
    "when its state has another shape": [
      Edge.serve([versions[1]!], { secrets: [secret] }).fetch,
      /TRP0310 .* 409: it runs .* state 2; .*; the host .* state 1;/
    ],
    "when its code is of another actor": [elsewhere.fetch, /TRP0310 .* 409: it has no meters\.Meter, but meters\.Other/]
  }
  for (const [name, [edge, why]] of Object.entries(aways)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const url = yield* served(edge)
        const away = yield* Effect.flip(handled(remote(url), [say("rest")]))
        assert.strictEqual((away as Error).constructor.name, "EdgeAway")
        assert.match((away as Error).message, why)
      }).pipe(Effect.scoped)
    )
  }

  it.live("when it leads elsewhere, and be it to an edge that would do", () =>
    Effect.gen(function* () {
      const other = yield* served(fine)
      const url = yield* served(async () => new Response(null, { status: 307, headers: { location: other } }))
      const away = yield* Effect.flip(handled(remote(url), [say("rest")]))
      assert.match((away as Error).message, /TRP0309 .* redirect/)
    }).pipe(Effect.scoped)
  )

  it.live("when its head is not signed, and nothing of its body is read", () =>
    Effect.gen(function* () {
      const { body, counts } = endless(65_536)
      const described = Signature.describing({ length: Protocol.limit, hash: "0".repeat(64) })
      const headers = { ...described, [Signature.headers.signature]: "0".repeat(64) }
      const answer = vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(body, { headers }))
      yield* Effect.addFinalizer(() => Effect.sync(() => answer.mockRestore()))
      const away = yield* Effect.flip(handled(remote("http://127.0.0.1:1/edge"), [say("rest")]))
      assert.match((away as Error).message, /TRP0309 .* not signed/)
      assert.deepStrictEqual([answer.mock.calls.length, counts.pulled], [1, 0])
    }).pipe(Effect.scoped)
  )

  it.live("when nobody is there", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(served(fine))
      const away = yield* Effect.flip(handled(remote(url), [say("rest")]))
      assert.match((away as Error).message, /TRP0309 .* ECONNREFUSED/)
    })
  )

  it.live("and a connection that ends as it is used is tried once more", () =>
    Effect.gen(function* () {
      let calls = 0
      const url = yield* served((request) => (calls++ === 0 ? Promise.reject(new Error("gone")) : fine(request)))
      const { work } = yield* handled(remote(url), [say("rest")])
      assert.deepStrictEqual([calls, work.inbox.length], [2, 1])
    }).pipe(Effect.scoped)
  )

  it.live("until a host and its edge changed their secret, one after the other", () =>
    Effect.gen(function* () {
      const steps = [
        [[secret], [secret]],
        [[secret, other], [secret]],
        [
          [secret, other],
          [other, secret]
        ],
        [[other], [other, undefined]]
      ] as const
      for (const [there, here] of steps) {
        const url = yield* served(Edge.serve([meter], { secrets: () => there }).fetch)
        const { work } = yield* handled(remote(url, here), [say("rest")])
        assert.strictEqual(work.inbox.length, 1)
      }
    }).pipe(Effect.scoped)
  )
})

it.live(
  "a host has memory for two answers as large as they may be, and reads the next when one is read or given up",
  () =>
    Effect.gen(function* () {
      const begun = [Latch.makeUnsafe(), Latch.makeUnsafe(), Latch.makeUnsafe()]
      /** The ports of the calls whose answers are read, in the order in which that began: any of them may come first. */
      const reading: Array<number> = []
      const verify = vi.spyOn(crypto.subtle, "verify")
      yield* Effect.addFinalizer(() => Effect.sync(() => verify.mockRestore()))
      const answers = vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init) => {
        const described = { length: Protocol.limit, hash: "0".repeat(64) }
        const signature = (init!.headers as Record<string, string>)[Signature.headers.signature]!
        const signed = await Signature.sign(secret, Signature.ofAnswer(signature, described))
        const pull = () => {
          begun[reading.push(Number((url as URL).port)) - 1]!.openUnsafe()
          return new Promise<void>(() => {})
        }
        return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), {
          headers: { ...Signature.describing(described), [Signature.headers.signature]: signed }
        })
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => answers.mockRestore()))
      const calls = new Map<number, Fiber.Fiber<unknown, unknown>>()
      for (const port of [1, 2, 3])
        calls.set(port, yield* Effect.forkChild(call(remote(`http://127.0.0.1:${port}/edge`), [])))
      yield* begun[0]!.await
      yield* begun[1]!.await
      const turn = Effect.promise(() => new Promise(setImmediate))
      while (verify.mock.settledResults.filter(({ type }) => type === "fulfilled").length < 3) yield* turn
      yield* Effect.repeat(turn, { times: 10 })
      assert.lengthOf(reading, 2)
      yield* Fiber.interrupt(calls.get(reading[0]!)!)
      yield* begun[2]!.await
      assert.lengthOf(new Set(reading), 3)
      for (const one of calls.values()) yield* Fiber.interrupt(one)
    }).pipe(Effect.scoped)
)
