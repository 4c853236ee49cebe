/** What has to change in the first files to make the second of them, by line; empty when nothing has. */
export const diff = (from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  [...new Set([...from.keys(), ...to.keys()])].sort().flatMap((name) => {
    const before = linesOf(from.get(name))
    const after = linesOf(to.get(name))
    const changes = changed(before, after)
    return changes.length === 0 ? [] : [name, ...changes]
  })

const linesOf = (text: string | undefined): ReadonlyArray<string> => text?.split("\n") ?? []

/** By the longest common subsequence: policies have some hundred lines. */
const changed = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> => {
  const width = after.length + 1
  const longest = new Int32Array((before.length + 1) * width)
  const at = (i: number, j: number): number => longest[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      longest[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const changes: Array<string> = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) [i, j] = [i + 1, j + 1]
    else if (i < before.length && (j === after.length || at(i + 1, j) >= at(i, j + 1))) changes.push(`- ${before[i++]}`)
    else changes.push(`+ ${after[j++]}`)
  }
  return changes
}
