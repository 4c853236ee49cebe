import { assert, describe, it } from "@effect/vitest"
import * as AptSource from "../src/internal/aptSource.ts"

describe("apt sources", () => {
  it("reads deb822 stanzas, and leaves out sources and what is disabled", () => {
    const text = [
      "# comment\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg",
      "Types: deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main",
      "Types: deb\nEnabled: no\nURIs: http://mirror.test/debian\nSuites: sid\nComponents: main"
    ].join("\n\n")
    assert.deepStrictEqual(AptSource.parseStanzas(text), [
      {
        uris: ["http://mirror.test/debian"],
        suites: ["bookworm", "bookworm-updates"],
        components: ["main"],
        fields: { "Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg" }
      }
    ])
  })

  it("reads one-line entries with and without options", () => {
    const text =
      "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib # x\n# deb http://no.test x main\ndeb http://b.test/debian sid main\n"
    assert.deepStrictEqual(AptSource.parseLines(text), [
      {
        uris: ["http://mirror.test/debian"],
        suites: ["bookworm"],
        components: ["main", "contrib"],
        fields: { "Signed-By": "/k.gpg" }
      },
      { uris: ["http://b.test/debian"], suites: ["sid"], components: ["main"], fields: {} }
    ])
  })

  it("writes what it reads", () => {
    const source = { uris: ["http://a.test"], suites: ["sid"], components: ["main"], fields: { "Signed-By": "/k.gpg" } }
    assert.deepStrictEqual(AptSource.parseStanzas(AptSource.format(source)), [source])
  })
})
