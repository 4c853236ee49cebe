import { assert, describe, it } from "@effect/vitest"
import { Codes, Reason, Text } from "@troupe/contract"
import * as Schema from "effect/Schema"
import { html } from "../src/document/page/Html.ts"
import { foreign, hidden } from "./foreign.ts"

/** Text with characters that no log, terminal, page or reply may show as they are. */
const some = Schema.Array(Schema.Union([Schema.String, Schema.Literals([...foreign])]))

describe("a text of others", () => {
  it.prop("has no control, format or line-breaking characters where it is shown", [some], ([parts]) => {
    const text = parts.join("")
    assert.notMatch(Text.line(text), hidden)
    for (const shown of [Text.lines(text), Text.visible(text)]) assert.notMatch(shown.replaceAll(/[\n\t]/g, ""), hidden)
    for (const show of [Text.line, Text.lines, Text.visible]) assert.strictEqual(show(show(text)), show(text))
  })

  it.prop("forges no line: those after its first are indented", [some], ([parts]) => {
    const text = parts.join("\n")
    assert.notInclude(Text.line(text), "\n")
    for (const line of Text.lines(text).split("\n").slice(1)) assert.match(line, /^[ \t]/)
    for (const line of Reason.full(new Error(text)).split("\n").slice(1)) assert.match(line, /^([ \t]|$)/)
    const said = Codes.text("TRP0301", text, text)
    assert.notMatch(said.replaceAll(/[\n\t]/g, ""), hidden)
    for (const line of said.split("\n").slice(1)) assert.match(line, /^[ \t]/)
  })

  it.prop("is the same value in JSON", [some], ([parts]) => {
    const text = parts.join("").toWellFormed()
    for (const indent of [undefined, 2])
      assert.deepStrictEqual(JSON.parse(Text.visible(JSON.stringify({ [text]: [text] }, undefined, indent))), {
        [text]: [text]
      })
  })

  it.prop("commands no page: it has none of them there, and is no markup", [some], ([parts]) => {
    const { text } = html`<p title="${parts.join("<b>")}">${parts.join('"')}</p>`
    assert.notMatch(text.replaceAll(/[\n\t]/g, ""), hidden)
    assert.notInclude(text, "<b>")
  })

  it("is left as it is where it has none of them", () => {
    for (const text of ["", "o-1", "grüner Tee", "日本", "👍🏽", "\\u202e", "a\tb"])
      for (const show of [Text.lines, Text.visible]) assert.strictEqual(show(text), text)
    assert.strictEqual(Text.line("\u001b[31m\u202e\u{e0041}\n"), "\\u001b[31m\\u202e\\udb40\\udc41\\u000a")
  })
})
