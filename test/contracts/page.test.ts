import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { Script } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Contract } from "@troupe/contract"
import { Page } from "@troupe/contract/document"
import { empty, hard, other } from "./hard.ts"

const url = "http://gateway.test:8080/api/"
const pages: ReadonlyArray<readonly [string, ReadonlyArray<Contract.AnyContract>, "jwt" | "none"]> = [
  ["the shop", [Orders, Payments, Shipping], "jwt"],
  ["hard contracts", [hard, empty, other], "none"],
  ["no contract", [], "jwt"]
]

const found = (text: string, expression: RegExp): ReadonlyArray<string> =>
  [...text.matchAll(expression)].map(([, group]) => group ?? "")
const unescaped = (text: string): string =>
  text.replaceAll(/<[^>]*>/g, "").replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
const examples = (page: string) => found(page, /<pre><code>(.*?)<\/code><\/pre>/gs).map(unescaped)

/** The words that a shell gives to `curl`. */
const words = (line: string): ReadonlyArray<string> =>
  execFileSync("sh", ["-uc", `TOKEN=a.b.c; curl() { printf '%s\\0' "$@"; }; ${line}`], { encoding: "utf8" })
    .split("\0")
    .slice(0, -1)

describe.each(pages)("the page of %s", (_, contracts, auth) => {
  const page = Page.make(contracts, { url, auth })

  it("is well-formed, loads nothing and runs nothing", () => {
    const open: Array<string> = []
    const known = new Set(
      "html head meta title style body a div header h1 h2 h3 h4 h5 p code nav ul li main section article dl dt dd small span details summary pre b".split(
        " "
      )
    )
    for (const [, end, name = "", attributes = ""] of page.matchAll(/<(\/?)([^\s>]*)([^>]*)>/g)) {
      if (name === "!doctype") continue
      assert.isTrue(known.has(name), `<${name}>`)
      if (end === "/") assert.strictEqual(open.pop(), name)
      else if (name !== "meta") open.push(name)
      assert.match(attributes, /^(\s+[a-z-]+="[^"<>]*")*\s*\/?$/)
      assert.notMatch(attributes, /\s(on\w+|src|style)=/)
    }
    assert.deepStrictEqual(open, [])
    assert.notMatch(page, /@import|url\(/)
  })

  it("refers to what is there", () => {
    const ids = found(page, /\sid="([^"]*)"/g)
    assert.strictEqual(new Set(ids).size, ids.length)
    for (const href of found(page, /\shref="([^"]*)"/g)) {
      assert.isTrue(ids.includes(href.slice(1)) || ["openapi.json", "asyncapi.json"].includes(href), href)
    }
    for (const id of found(page, /aria-labelledby="([^"]*)"/g)) assert.include(ids, id)
  })

  it("has the style that its policy allows", () => {
    const [style = ""] = found(page, /<style>(.*?)<\/style>/gs)
    const hash = `sha256-${createHash("sha256").update(style).digest("base64")}`
    assert.include(Page.contentSecurityPolicy, `style-src '${hash}'`)
  })

  it("has examples that a shell reads as they are meant, and the contract takes", () => {
    const lines = examples(page).filter((text) => text.startsWith("curl -sS"))
    const commands = contracts
      .flatMap(Contract.actors)
      .flatMap(({ commands, definition, name }) =>
        Object.values(commands).map(({ target }) => ({ target, key: definition.key, name }))
      )
    assert.strictEqual(lines.length, commands.length)
    for (const { name, target } of commands) {
      const path = `${url}v1/${name.replace(".", "/")}/`
      const told = lines.map(words).find((all) => all[3]?.startsWith(path) && all[3].endsWith(`/${target.command}`))
      if (told === undefined) return assert.fail(`no example of ${name}.${target.command}`)
      assert.strictEqual(told.includes("Authorization: Bearer a.b.c"), auth === "jwt")
      const body = told.includes("-d") ? (told.at(-1) ?? "") : "{}"
      if (name !== "hard.Guess") assert.isTrue(target.payload.decode(body).ok, body)
    }
    for (const text of examples(page)) {
      if (text.startsWith("curl")) assert.notInclude(words(text).join(" "), "\n")
      else assert.isDefined(new Script(`async () => {${text}}`))
    }
  })
})

describe("a text of a contract", () => {
  const page = Page.make([hard], { url })

  it("is shown as it is, never as markup", () => {
    assert.include(unescaped(page), `</script><script>alert("cents")</script> & 'more'`)
    assert.include(unescaped(page), "Money</script><b>")
    assert.include(unescaped(page), "Of any <currency>")
    assert.include(unescaped(page), "a name/with ~ and 'quotes'")
    assert.notInclude(page.toLowerCase(), "<script")
  })

  it("is at its place: what a command takes, answers and refuses, and every version of an event", () => {
    const text = unescaped(Page.make([Orders], { url })).replaceAll(/\s+/g, " ")
    for (const part of [
      "POST /v1/orders/Order/{key}/place",
      "lines: Line[] 1 or more items",
      "note: string optional",
      "urn:troupe:error:orders.Order.place:OutOfStock",
      "quantity: integer more than 0",
      '"empty" | "placed" | "cancelled"',
      "Version 1, said before: it is heard as version 2",
      "events?actor=Order&event=placed&from=start"
    ]) {
      assert.include(text, part)
    }
  })

  it("is there for classes, errors and types that are text on the wire", () => {
    const text = unescaped(page).replaceAll(/\s+/g, " ")
    for (const part of [
      "When it began; a string",
      "Hard.all:Late Too late",
      "money: Money</script><b> optional Of any"
    ])
      assert.include(text, part)
  })

  it("has examples that take an unknown address from a variable", () => {
    const page = Page.make([Orders], { auth: "none" })
    const line = examples(page).find((text) => text.startsWith("curl -sS")) ?? ""
    assert.match(
      words(`GATEWAY=${url.slice(0, -1)}; ${line}`)[3] ?? "",
      /^http:\/\/gateway\.test:8080\/api\/v1\/orders\//
    )
    assert.include(unescaped(page), 'new EventSource("/v1/orders/events")')
  })

  it("needs a URL that a shell can call", () => {
    assert.throws(() => Page.make([hard], { url: "/" }), TypeError)
  })
})
