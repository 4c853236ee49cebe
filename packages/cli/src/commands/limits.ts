import * as Flag from "effect/cli/Flag"

const flag = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

/** Limits of a service: those of streams are given to streams that exist as well; what is not set stays as it is there. */
export const limits = {
  streamMaxBytes: flag(
    "stream-max-bytes",
    "BYTES",
    "What each stream of a service may hold, as 2GiB. Default: TROUPE_STREAM_MAX_BYTES, else 1GiB"
  ),
  commandsKept: flag(
    "commands-kept",
    "TIME",
    "How long handled commands are kept, as 24h. Default: TROUPE_COMMANDS_KEPT, else 24h"
  ),
  eventsKept: flag("events-kept", "TIME", "How long events are kept, as 30d. Default: TROUPE_EVENTS_KEPT, else 30d"),
  replicas: flag("replicas", "N", "Copies of each stream in a cluster, 1, 3 or 5. Default: TROUPE_REPLICAS, else 1"),
  duplicateWindow: flag(
    "duplicate-window",
    "TIME",
    "How long a message id is remembered, below 1h. Default: TROUPE_DUPLICATE_WINDOW, else 2m"
  ),
  deadLetters: flag(
    "dead-letters",
    "N",
    "Maximum number of dead letters of each actor or subscriber. Default: TROUPE_DEAD_LETTERS, else 10000"
  ),
  deadLettersMaxBytes: flag(
    "dead-letters-max-bytes",
    "BYTES",
    "What the dead letters of each may take, as 256MiB. Default: TROUPE_DEAD_LETTERS_MAX_BYTES, else 256MiB"
  )
}
