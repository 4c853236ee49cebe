import * as Context from "effect/Context"

/** A message that runs here. */
export interface Running {
  readonly consumer: number
  readonly p: number
  /** As `troupe.suspect` knows it: its `ce-id`, at most 200 characters, or `<stream> <sequence>`. */
  readonly id: string
  /** Its type, key and id, for people: as `Text.line` shows them. */
  readonly what: string
}

/**
 * The messages that this process has begun and not finished, where a thread beside the event loop can read them: when the
 * loop stands still or the process ends, they are the suspects. Maximum number of messages shown at once: 256.
 */
export interface Board {
  /** Shows a message, and answers its place; -1 when there is no room. */
  readonly begin: (running: Running) => number
  readonly end: (place: number) => void
  /** What it shows. */
  readonly running: () => ReadonlyArray<Running>
}

/** The board of the host that runs this. Where nobody watches nothing is kept. */
export const Board = Context.Reference<Board>("@troupe/actor/Board", {
  defaultValue: () => ({ begin: () => -1, end: () => {}, running: () => [] })
})

/**
 * Notes which messages this process may end for, so that whoever takes its partitions over knows. To be called right before
 * it ends: synchronous, 2 s at most. Where nobody watches nothing is noted.
 */
export const LastWords = Context.Reference<(reason: string, messages: ReadonlyArray<Running>) => void>(
  "@troupe/actor/LastWords",
  { defaultValue: () => () => {} }
)
