export interface Source {
  readonly uris: ReadonlyArray<string>
  readonly suites: ReadonlyArray<string>
  readonly components: ReadonlyArray<string>
  /** Further fields, as in a stanza: `Signed-By`, `Trusted`, ... */
  readonly fields: Readonly<Record<string, string>>
}

const words = (text: string | undefined): Array<string> => (text ?? "").split(/\s+/).filter((word) => word !== "")

const kept = ["Signed-By", "Trusted", "Check-Valid-Until", "Allow-Insecure"]

const fieldsOf = (all: ReadonlyMap<string, string>): Record<string, string> =>
  Object.fromEntries(
    kept.flatMap((name) => {
      const value = all.get(name.toLowerCase())
      return value === undefined ? [] : [[name, value]]
    })
  )

const parseStanza = (stanza: string): ReadonlyArray<Source> => {
  const all = new Map<string, string>()
  let last = ""
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue
    if (/^\s/.test(line)) {
      all.set(last, `${all.get(last) ?? ""}\n${line}`)
      continue
    }
    const colon = line.indexOf(":")
    if (colon < 0) continue
    last = line.slice(0, colon).toLowerCase()
    all.set(last, line.slice(colon + 1).trim())
  }
  return words(all.get("types")).includes("deb") && !/^(no|false|0)$/i.test(all.get("enabled") ?? "yes")
    ? [
        {
          uris: words(all.get("uris")),
          suites: words(all.get("suites")),
          components: words(all.get("components")),
          fields: fieldsOf(all)
        }
      ]
    : []
}

/** Reads a deb822 file (`*.sources`). */
export const parseStanzas = (text: string): ReadonlyArray<Source> => text.split(/\n\s*\n/).flatMap(parseStanza)

const parseLine = (line: string): ReadonlyArray<Source> => {
  const found = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line)
  if (found === null) return []
  const [, options, uri, suite, components] = found
  const pairs = words(options).map((option): readonly [string, string] => {
    const equals = option.indexOf("=")
    return [option.slice(0, equals).toLowerCase(), option.slice(equals + 1)]
  })
  return [{ uris: words(uri), suites: words(suite), components: words(components), fields: fieldsOf(new Map(pairs)) }]
}

/** Reads a one-line-style file (`*.list`). */
export const parseLines = (text: string): ReadonlyArray<Source> => text.split("\n").flatMap(parseLine)

/** Writes a deb822 stanza. */
export const format = ({ components, fields, suites, uris }: Source): string =>
  [
    "Types: deb",
    `URIs: ${uris.join(" ")}`,
    `Suites: ${suites.join(" ")}`,
    `Components: ${components.join(" ")}`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    ""
  ].join("\n")
