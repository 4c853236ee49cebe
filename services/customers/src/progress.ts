import * as Effect from "effect/Effect"

/** Says that so many are done. */
export type At = (done: number) => Effect.Effect<void>

/**
 * Shows on stderr how far `run` is, out of `total`: one line that is written anew on a terminal, a line for every 10 %
 * elsewhere. `at` may be called as often as one likes.
 */
export const show = <A, E, R>(
  title: string,
  total: number,
  run: (at: At) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const terminal = process.stderr.isTTY === true
    const every = terminal ? 1 : 10
    let shown = -1
    const at: At = (done) =>
      Effect.sync(() => {
        const percent = total === 0 ? 100 : Math.floor((100 * done) / total / every) * every
        if (percent <= shown) return
        shown = percent
        const line = `${title}  ${percent} %  (${count(done)} of ${count(total)})`
        process.stderr.write(terminal ? `\r\u001b[2K${line}` : `${line}\n`)
      })
    const end = Effect.sync(() => {
      if (terminal && shown >= 0) process.stderr.write("\n")
    })
    return Effect.ensuring(run(at), end)
  })

/** 1,000 */
export const count = (n: number): string => n.toLocaleString("en-US")
