import { diff as compare } from "node:util"

/** What has to change in the first files to make the second of them, by line; empty when nothing has. */
export const diff = (from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  [...new Set([...from.keys(), ...to.keys()])].sort().flatMap((name) => {
    const changes = compare(linesOf(from.get(name)), linesOf(to.get(name))).flatMap(([side, line]) =>
      side === 0 ? [] : [`${side > 0 ? "-" : "+"} ${line}`]
    )
    return changes.length === 0 ? [] : [name, ...changes]
  })

const linesOf = (text: string | undefined): ReadonlyArray<string> => text?.split("\n") ?? []
