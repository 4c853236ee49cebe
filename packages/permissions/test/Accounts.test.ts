import { decode, type Account as Claims } from "@nats-io/jwt"
import { assert, describe, it } from "@effect/vitest"
import { Actor, Subscriber } from "@troupe/actor"
import { Account, Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Accounts, Caller, Credentials, jwt, operatorJwt, Policy } from "../src/index.ts"

class Cart extends Contract.actor({ key: Schema.String, commands: { fill: Contract.command({}) }, events: {} }) {}
class Desk extends Contract.actor({ key: Schema.String, commands: { call: Contract.command({}) }, events: {} }) {}
const Shop = Contract.make("shop", { Cart })
const Help = Contract.make("help", { Desk })
const cart = Actor.make(Shop.Cart, { state: Schema.Void, initial: undefined, sends: [Help.Desk] }).commands({
  fill: () => {}
})
const desk = Actor.make(Help.Desk, { state: Schema.Void, initial: undefined }).commands({ call: () => {} })
const shop = Policy.ofService(Service.make(Shop, { actors: [cart], allow: { send: [Help] } }))
const help = Policy.ofService(Service.make(Help, { actors: [desk] }))
const web = Policy.ofCaller(Caller.make("web", { sends: [Shop.Cart.commands.fill], hears: [Help] }))

const accounts = Accounts.make([shop, help, web])
const named = (name: string): Accounts.Account => accounts.find((account) => account.name === name)!

describe("accounts", () => {
  it("import what their programs need of others under names that are free, and export what is imported, and no more", () => {
    assert.deepStrictEqual(named("shop").imports, [
      { from: "help", subject: "cmd.help.Desk.call.*", type: "service", as: "cmd.help.Desk.call.*" },
      ...["STREAM.INFO", "STREAM.MSG.GET"].map(
        (what) =>
          ({
            from: "help",
            subject: `$JS.API.${what}.CMD_help`,
            type: "service",
            as: `JS.help.API.${what}.CMD_help`
          }) as const
      )
    ])
    assert.deepStrictEqual(
      named("help").exports.map(({ subject }) => subject),
      [
        ...new Set(
          accounts.flatMap(({ imports }) => imports.filter(({ from }) => from === "help").map((one) => one.subject))
        )
      ].sort()
    )
    assert.deepStrictEqual(named("help").imports, [])
    assert.deepStrictEqual(named("web").exports, [])
  })

  it("let a caller hear the answers of those whom it asks, and nobody else", () => {
    const hears = accounts.flatMap(({ imports, name }) =>
      imports.filter(({ type }) => type === "stream").map(({ as, from }) => [name, from, as])
    )
    assert.deepStrictEqual(hears, [["web", "shop", "_INBOX.web.>"]])
  })

  it("give a service its own streams and a caller none, and to a program what its policy says", () => {
    assert.deepStrictEqual(named("shop").jetstream, { streams: 3, bytes: 2_164_260_864 })
    assert.isUndefined(named("web").jetstream)
    assert.deepStrictEqual(named("help").role, help.nats)
    assert.include(named("web").role.publish, "JS.help.API.CONSUMER.MSG.NEXT.EVT_help.*")
    assert.notInclude(named("web").role.publish.join(), "$JS.API")
    const pulls = accounts.flatMap(({ exports }) => exports.filter(({ answers }) => answers === "many"))
    assert.deepStrictEqual(
      pulls.map(({ subject }) => subject),
      ["$JS.API.CONSUMER.MSG.NEXT.EVT_help.*"]
    )
  })

  it("import and export nothing twice: the server takes no subjects that overlap", () => {
    class Box extends Contract.actor({ key: Schema.String, commands: {}, events: { a: Contract.event({}) } }) {}
    const Pair = Contract.make("pair", { Box, Lid: class extends Box {} })
    const one = Subscriber.make("one").on(Pair.Box.events.a, () => {})
    const all = Subscriber.make("all")
      .on(Pair.Box.events.a, () => {})
      .on(Pair.Lid.events.a, () => {})
    const made = Accounts.make([
      Policy.ofService(Service.make(Contract.make("ear", {}), { subscribers: [one, all] })),
      { ...help, name: "pair", nats: { publish: [], subscribe: [] } },
      Policy.ofCaller(Caller.make("phone", { hears: [Pair] }))
    ])
    const creates = (all: ReadonlyArray<{ readonly subject: string }> = []) =>
      all.map(({ subject }) => subject).filter((subject) => subject.includes("CONSUMER.CREATE"))
    assert.deepStrictEqual(creates(made[0]?.imports), ["$JS.API.CONSUMER.CREATE.EVT_pair.*.evt.pair.*.>"])
    assert.deepStrictEqual(creates(made[1]?.exports), ["$JS.API.CONSUMER.CREATE.EVT_pair.>"])
  })

  it("are refused without a service that one of them needs", () => {
    assert.throws(() => Accounts.make([shop]), /shop needs help/)
  })
})

describe("signed accounts and credentials", () => {
  const seeds = () => ({
    account: Credentials.seed("account"),
    program: Credentials.seed("account"),
    operator: Credentials.seed("account"),
    revoked: 0
  })
  const [operator, system, own] = [Credentials.seed("operator"), Credentials.seed("account"), seeds()]

  it.effect("have roles that are signed by keys of their own, and no secret", () =>
    Effect.promise(async () => {
      const keys = new Map([["help", { ...own, revoked: 1_700_000_000 }]])
      const text = await jwt(Accounts.make([help]), {
        operator,
        operatorJwt: await operatorJwt(operator, system),
        system,
        accounts: keys
      })
      for (const seed of [operator, system, own.account, own.program, own.operator]) assert.notInclude(text, seed)
      const key = Credentials.publicOf(own.account)
      const claims = decode<Claims>(new RegExp(`${key}: (\\S+)`).exec(text)?.[1] ?? "")
      assert.strictEqual(claims.iss, Credentials.publicOf(operator))
      assert.deepStrictEqual(claims.nats.revocations, { "*": 1_700_000_000 })
      assert.deepInclude(claims.nats.limits, { streams: 3, disk_storage: 2_164_260_864, mem_storage: 0 })
      const scopes = (claims.nats.signing_keys ?? []).flatMap((scope) => (typeof scope === "string" ? [] : [scope]))
      assert.deepStrictEqual(
        scopes.map(({ key, role, template }) => [key, role, template.pub?.allow]),
        [
          [Credentials.publicOf(own.program), "help", [...help.nats.publish]],
          [Credentials.publicOf(own.operator), "operator", [">"]]
        ]
      )
    })
  )

  it.effect("name the account and the end of a user, who carries no permissions", () =>
    Effect.promise(async () => {
      const key = Credentials.publicOf(own.account)
      const creds = await Credentials.make({ account: "help", key, signer: own.program, expires: 1_800_000_000 })
      assert.deepStrictEqual(Account.userOf(creds), { account: "help", expires: 1_800_000_000_000 })
      const [, token = ""] = /JWT-+\n(\S+)/.exec(creds) ?? []
      const claims = decode<Record<string, unknown>>(token)
      assert.sameMembers(Object.keys(claims.nats), ["tags", "issuer_account", "type", "version"])
      assert.deepStrictEqual(Account.userOf("nothing of the kind"), {})
    })
  )
})
