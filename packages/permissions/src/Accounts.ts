import { Account } from "@troupe/contract"
import { inboxOf, type Nats, type Policy } from "./Policy.ts"

/** The account of one service, or of one caller and all who use its name. Nothing here is secret. */
export interface Account {
  readonly name: string
  readonly kind: Policy["kind"]
  /** What its stream store holds at most; a caller has none. */
  readonly jetstream: { readonly streams: number; readonly bytes: number } | undefined
  /** What other accounts may take from it: exactly what some declaration needs. */
  readonly exports: ReadonlyArray<Export>
  readonly imports: ReadonlyArray<Import>
  /** What its program may do inside the account. */
  readonly role: Nats
}

export interface Export {
  readonly subject: string
  /** `service`: others ask, and each answer goes to who asked, wherever it was to go. `stream`: others hear. */
  readonly type: "service" | "stream"
  /** How many answers one question has. */
  readonly answers: "one" | "many"
}

export interface Import {
  readonly from: string
  readonly subject: string
  readonly type: "service" | "stream"
  /** Its name in this account. */
  readonly as: string
}

/** Room for the streams that services make: two of 1 GiB, and 16 MiB for places; the server reserves it. */
const room = { streams: 3, bytes: 2 * 1024 ** 3 + 16 * 1024 ** 2 }

/**
 * An account for each program, with the imports that its declarations need. What is in no import cannot leave the account,
 * whatever a program makes the server do on its behalf. Throws a `TypeError` when one needs a service that is not among them.
 */
export const make = (policies: ReadonlyArray<Policy>): ReadonlyArray<Account> => {
  const imports = new Map(policies.map((policy) => [policy.name, importsOf(policy)]))
  for (const [name, needed] of imports)
    for (const { from } of needed)
      if (!imports.has(from)) throw new TypeError(`${name} needs ${from}, which is not among these services`)
  return policies.map(({ kind, name, nats }) => ({
    name,
    kind,
    jetstream: kind === "service" ? room : undefined,
    exports: exportsOf(
      [...imports.values()].flat().filter(({ from }) => from === name),
      name
    ),
    imports: imports.get(name) ?? [],
    role: { publish: nats.publish.map((subject) => named(name, subject)), subscribe: nats.subscribe }
  }))
}

const importsOf = ({ kind, name, nats }: Policy): ReadonlyArray<Import> => {
  const asked = widest(nats.publish).flatMap((subject): ReadonlyArray<Import> => {
    const from = ownerOf(subject)
    return from === undefined || from === name ? [] : [{ from, subject, type: "service", as: named(name, subject) }]
  })
  if (kind === "service") return asked
  // A caller may ask: who takes its command, or lets it wait, answers it later, by a message of its own.
  const repliers = new Set(asked.filter(({ subject }) => /^(?:cmd|svc)\./.test(subject)).map(({ from }) => from))
  const inbox = `${inboxOf(name)}.>`
  return [...asked, ...[...repliers].map((from) => ({ from, subject: inbox, type: "stream", as: inbox }) as const)]
}

const exportsOf = (imports: ReadonlyArray<Import>, name: string): ReadonlyArray<Export> => {
  const types = new Map(imports.map(({ subject, type }) => [subject, type]))
  return widest([...types.keys()].sort()).map((subject) => ({
    subject,
    type: types.get(subject) ?? "service",
    // A pull has as many answers as messages.
    answers: subject.startsWith(`$JS.API.CONSUMER.MSG.NEXT.EVT_${name}.`) ? "many" : "one"
  }))
}

/** Without those that another one has in it: the server takes no account whose imports, or exports, overlap. */
const widest = (subjects: ReadonlyArray<string>): ReadonlyArray<string> =>
  subjects.filter((subject) => !subjects.some((other) => other !== subject && covers(other, subject)))

const covers = (wide: string, narrow: string): boolean => {
  const tokens = narrow.split(".")
  const pattern = wide.split(".")
  return (
    pattern.every((token, i) => {
      if (token === ">") return tokens.length > i
      return i < tokens.length && tokens[i] !== ">" && (token === "*" || token === tokens[i])
    }) &&
    (pattern.at(-1) === ">" || pattern.length === tokens.length)
  )
}

/** The service in whose account a subject is served: that of a command, and of a stream. */
const ownerOf = (subject: string): string | undefined =>
  /^(?:cmd|evt|place|svc)\.([^.]+)\.|^\$JS\.API\.[A-Z.]+\.(?:CMD|EVT|PLACE)_([^.]+)/
    .exec(subject)
    ?.slice(1)
    .find(Boolean)

/** What a subject is called in the account of a program. */
const named = (account: string, subject: string): string => {
  const [, stream] = /^\$JS\.API\.[A-Z.]+\.((?:CMD|EVT|PLACE)_[^.]+)/.exec(subject) ?? []
  return stream === undefined ? subject : subject.replace("$JS.API", () => Account.api(account, stream))
}
