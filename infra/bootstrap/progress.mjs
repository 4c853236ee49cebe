const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1)

/** One line on stderr; stdout belongs to the command that is being started. */
export const say = (line) => process.stderr.write(`troupe: ${line}\n`)

/** Says that a long step began, that it still runs (every 10 s), and how long it took. */
export const step = async (title, run) => {
  const since = performance.now()
  say(`${title} ...`)
  const alive = setInterval(() => say(`${title}: still at it after ${seconds(since)} s`), 10_000)
  try {
    const result = await run()
    say(`${title}: done in ${seconds(since)} s`)
    return result
  } finally {
    clearInterval(alive)
  }
}
