import * as Effect from "effect/Effect"

// Handlers and decoders that only compute never give way to the event loop by themselves, and neither do the batches of all
// partitions one behind the other: 2 s each are a minute for all of them, in which heartbeats, health, replies and timers wait.

/** For so long, in ms, a process handles messages before its event loop turns, unless a single one takes longer. */
const slice = 20

let since = performance.now()
let scheduled = false
const waiting: Array<() => void> = []

const isOver = (): boolean => performance.now() - since > slice

const turn = (): void => {
  scheduled = false
  since = performance.now()
  // One after the other, so that they share the slice.
  while (waiting.length > 0 && !isOver()) waiting.shift()!()
  if (waiting.length > 0) schedule()
}

const schedule = (): void => {
  if (scheduled) return
  scheduled = true
  setImmediate(turn)
}

/** To be asked before each message: whether the event loop is to turn first. */
export const isDue = (): boolean => waiting.length > 0 || isOver()

/** Lets the event loop turn, and those that asked before. */
export const take: Effect.Effect<void> = Effect.callback((resume) => {
  const goOn = (): void => resume(Effect.void)
  waiting.push(goOn)
  schedule()
  return Effect.sync(() => {
    const place = waiting.indexOf(goOn)
    if (place >= 0) waiting.splice(place, 1)
  })
})
