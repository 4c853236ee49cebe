import * as Flag from "effect/cli/Flag"

const flag = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

const texts = {
  streamMaxBytes: ["stream-max-bytes", "BYTES", "What each stream of a service may hold, as 2GiB"],
  commandsKept: ["commands-kept", "TIME", "How long handled commands are kept, as 24h"],
  eventsKept: ["events-kept", "TIME", "How long events are kept, as 30d"],
  replicas: ["replicas", "N", "Copies of each stream in a cluster: 1, 3 or 5"],
  duplicateWindow: ["duplicate-window", "TIME", "How long a message id is remembered, below 1h"],
  deadLetters: ["dead-letters", "N", "Maximum number of dead letters of each actor or subscriber"],
  deadLettersMaxBytes: ["dead-letters-max-bytes", "BYTES", "What the dead letters of each may take, as 256MiB"]
} as const
const ofService = (name: keyof typeof texts, otherwise: string) => {
  const [option, metavar, what] = texts[name]
  return flag(
    option,
    metavar,
    `${what}. Default: TROUPE_${option.toUpperCase().replaceAll("-", "_")}, else ${otherwise}`
  )
}
const change = (name: keyof typeof texts) => {
  const [option, metavar, what] = texts[name]
  return flag(option, metavar, `${what}. Not given: it stays as it is`)
}

/** Limits of a service: those of streams are given to streams that exist as well; what is not set stays as it is there. */
export const limits = {
  streamMaxBytes: ofService("streamMaxBytes", "1GiB"),
  commandsKept: ofService("commandsKept", "24h"),
  eventsKept: ofService("eventsKept", "30d"),
  replicas: ofService("replicas", "1"),
  duplicateWindow: ofService("duplicateWindow", "2m"),
  deadLetters: ofService("deadLetters", "10000"),
  deadLettersMaxBytes: ofService("deadLettersMaxBytes", "256MiB")
}

/** What is changed by hand in streams that exist, by flags alone. */
export const changes = {
  streamMaxBytes: change("streamMaxBytes"),
  eventsKept: change("eventsKept"),
  replicas: change("replicas"),
  duplicateWindow: change("duplicateWindow")
}
