import { assert, describe, it } from "@effect/vitest"
import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"
import { Caller, deno, nats, Policy, sql } from "../src/index.ts"

class Cart extends Contract.actor({
  key: Schema.String,
  commands: { fill: Contract.command({}), empty: Contract.command({}) },
  events: { filled: Contract.event({}) }
}) {}
class Desk extends Contract.actor({
  key: Schema.String,
  commands: { call: Contract.command({}) },
  events: { called: Contract.event({}) }
}) {}
const Shop = Contract.make("shop", { Cart })
const Help = Contract.make("help-desk", { Cart, Desk })

const cart = Actor.make(Shop.Cart, { state: Schema.Void, initial: undefined }).commands({
  fill: () => {},
  empty: () => {}
})
const plain = Policy.ofService(Service.make(Shop, { actors: [cart] })).nats.publish

const hears = (...events: ReadonlyArray<Contract.AnyEventRef>) => {
  const listener = events.reduce((all, event) => all.on(event, () => {}), Subscriber.make("listener"))
  const { publish } = Policy.ofService(Service.make(Shop, { actors: [cart], subscribers: [listener] })).nats
  return publish.filter((subject) => !plain.includes(subject))
}

const reading = (filter: string) => [
  "$JS.API.STREAM.INFO.EVT_help-desk",
  "$JS.API.STREAM.MSG.GET.EVT_help-desk",
  `$JS.API.CONSUMER.CREATE.EVT_help-desk.*.${filter}`,
  "$JS.API.CONSUMER.INFO.EVT_help-desk.*",
  "$JS.API.CONSUMER.MSG.NEXT.EVT_help-desk.*",
  "$JS.API.CONSUMER.DELETE.EVT_help-desk.*"
]

describe("the policy of a service", () => {
  it("lets it say its own events, command itself, and nothing of others", () => {
    const said = plain.filter((subject) => /^(evt|cmd)\./.test(subject))
    assert.deepStrictEqual(said, ["evt.shop.Cart.filled.*", "cmd.shop.Cart.empty.*", "cmd.shop.Cart.fill.*"])
    assert.deepStrictEqual(
      plain.filter((subject) => subject.includes("help-desk")),
      []
    )
  })

  it("is the same wherever its handlers run", () => {
    const declared = Actor.make(Shop.Cart, { state: Schema.Void, initial: undefined, sends: [Help.Desk] })
    const here = declared.commands({ fill: () => {}, empty: () => {} })
    const elsewhere = declared.remote({ url: undefined, secrets: [] })
    const policy = Policy.ofService(Service.make(Shop, { actors: [elsewhere], allow: { send: [Help] } }))
    assert.include(policy.nats.publish, "cmd.help-desk.Desk.call.*")
    assert.deepStrictEqual(policy, Policy.ofService(Service.make(Shop, { actors: [here], allow: { send: [Help] } })))
  })

  it("lets it connect to the hosts of allow.net, on Deno to no other", () => {
    const service = (...net: ReadonlyArray<string>) => Service.make(Shop, { actors: [cart], allow: { net } })
    const hosts = ["api.example.com:443", "10.0.0.7", "[::1]:8080", "bank.example"]
    const flag = /--allow-net="(.*)" /.exec(deno(Policy.ofService(service(...hosts, "bank.example"))))?.[1]
    assert.deepStrictEqual(flag?.split(",").slice(3), hosts.toSorted())
    for (const host of [
      "",
      "*",
      "https://a.example",
      "a.example/b",
      "a b",
      "a,b",
      "$(id)",
      'a"',
      "a:port",
      "A.example"
    ])
      assert.throws(() => service("bank.example", host), `"${host}" in allow.net is no host`)
  })

  it("lets it send what its parts list, not all that allow.send would cover", () => {
    const sender = Subscriber.make("sender", { sends: [Help.Desk] }).on(Shop.Cart.events.filled, () => {})
    const service = Service.make(Shop, { actors: [cart], subscribers: [sender], allow: { send: [Help] } })
    assert.deepStrictEqual(
      Policy.ofService(service).nats.publish.filter((subject) => subject.includes("help-desk")),
      ["cmd.help-desk.Desk.call.*", "$JS.API.STREAM.INFO.CMD_help-desk", "$JS.API.STREAM.MSG.GET.CMD_help-desk"]
    )
    assert.throws(
      () => Policy.ofService({ ...service, allow: {} }),
      /shop sends to help-desk.Desk, which its allow.send lacks/
    )
  })

  it("lets it read with the one filter that the engine reads with", () => {
    assert.deepStrictEqual(hears(Help.Desk.events.called), reading("evt.help-desk.*.Desk.>"))
    assert.deepStrictEqual(hears(Help.Desk.events.called, Help.Cart.events.filled), reading("evt.help-desk.*.>"))
  })

  it("lets it hear its own inbox alone", () => {
    const { subscribe } = Policy.ofService(Service.make(Shop, { actors: [cart] })).nats
    assert.deepStrictEqual(subscribe, ["_INBOX.shop.>"])
  })

  it("lets it hear who waits for its subscribers, of each by name", () => {
    const subscribers = ["list", "fees"].map((name) => Subscriber.make(name).on(Shop.Cart.events.filled, () => {}))
    const { subscribe } = Policy.ofService(Service.make(Shop, { actors: [cart], subscribers })).nats
    assert.deepStrictEqual(subscribe, ["_INBOX.shop.>", "svc.shop.caught.fees.*", "svc.shop.caught.list.*"])
  })
})

describe("the policy of a caller", () => {
  it("lets it send these commands, and read these services whole", () => {
    const caller = Caller.make("web", { sends: [Shop.Cart.commands.fill], hears: [Help] })
    assert.deepStrictEqual(Policy.ofCaller(caller).nats, {
      publish: [
        "cmd.shop.Cart.fill.*",
        "$JS.API.STREAM.INFO.EVT_help-desk",
        "$JS.API.STREAM.MSG.GET.EVT_help-desk",
        "$JS.API.CONSUMER.CREATE.EVT_help-desk.>",
        "$JS.API.CONSUMER.INFO.EVT_help-desk.*",
        "$JS.API.CONSUMER.MSG.NEXT.EVT_help-desk.*",
        "$JS.API.CONSUMER.DELETE.EVT_help-desk.*",
        "place.help-desk.web.*",
        "$JS.API.DIRECT.GET.PLACE_help-desk.place.help-desk.web.*"
      ],
      subscribe: ["_INBOX.web.>"]
    })
    assert.throws(() => Caller.make("web.app", {}), /no name for a caller/)
  })

  it("lets it wait for these subscribers", () => {
    const caller = Caller.make("web", { awaits: ["shop.list", "help-desk.calls"] })
    assert.deepStrictEqual(Policy.ofCaller(caller).nats.publish, [
      "svc.help-desk.caught.calls.*",
      "svc.shop.caught.list.*"
    ])
    assert.throws(() => Caller.make("web", { awaits: ["shop.>"] }), /"shop.>" is no subscriber/)
  })
})

describe("policies of one NATS", () => {
  it("let a service answer those callers that may ask it or wait for it, and nobody else", () => {
    const Lone = Contract.make("lone", { Desk })
    const desk = Actor.make(Lone.Desk, { state: Schema.Void, initial: undefined }).commands({ call: () => {} })
    const all = [
      Policy.ofService(Service.make(Shop, { actors: [cart] })),
      Policy.ofService(Service.make(Lone, { actors: [desk] })),
      Policy.ofCaller(Caller.make("web", { sends: [Shop.Cart.commands.fill], hears: [Lone] })),
      Policy.ofCaller(Caller.make("ear", { hears: [Shop, Lone] })),
      Policy.ofCaller(Caller.make("board", { awaits: ["shop.list"] }))
    ]
    const inboxes = (policies: ReadonlyArray<Policy.Policy>) =>
      policies.map(({ nats }) => nats.publish.filter((subject) => subject.startsWith("_INBOX.")))
    assert.deepStrictEqual(inboxes(all), [["_INBOX.*.>"], ["_INBOX.*.>"], [], [], []])
    assert.deepStrictEqual(inboxes(Policy.together(all)), [
      ["_INBOX.*.*", "_INBOX.OPERATOR.>", "_INBOX.board.>", "_INBOX.web.>"],
      ["_INBOX.*.*", "_INBOX.OPERATOR.>"],
      [],
      [],
      []
    ])
  })
})

describe("formats", () => {
  const policy = Policy.ofCaller(Caller.make("web-app", { sends: [Shop.Cart.commands.fill] }))
  it("nats: passwords are variables, a name with a dash too", () => {
    assert.include(nats([policy]), 'user: "web-app"\n      password: $WEB_APP_NATS_PASSWORD\n')
    assert.include(nats([policy]), 'publish { allow: [\n          "cmd.shop.Cart.fill.*"\n        ] }')
  })
  it("sql: every grant is to the role, quoted", () => {
    const grants = sql(policy).match(/^grant .*$/gm) ?? []
    assert.isAbove(grants.length, 10)
    for (const grant of grants) assert.match(grant, / to "web-app";$/)
  })
})
