import type { Actor, Command, Document } from "./Document.ts"
import { isRecord, type JsonSchema, own } from "./JsonSchema.ts"
import { meant, type Problem, problems, type Rooted, same, tag } from "./Reading.ts"

/** Who has the older contract and is broken by a change, if anybody: other teams send commands and receive events. */
export type Breaks = "nobody" | "senders" | "receivers"

/** One difference of two documents. */
export interface Change {
  readonly breaks: Breaks
  /** `orders.Order.place.payload.lines[].sku` */
  readonly path: string
  readonly what: string
  readonly why: string
  /** What to do. */
  readonly todo: string
}

/**
 * What changed from `old` to `now`, and for whom. Everybody has the older contract until they take the newer one, and
 * hosts of both run side by side while a service is deployed.
 */
export const diff = (old: Document, now: Document): ReadonlyArray<Change> => {
  if (old.service !== now.service) return renamed(old.service, now.service)
  const changes = [...version(old, now)]
  for (const [name, was] of Object.entries(old.actors)) {
    const is = own(now.actors, name) ?? { ...was, commands: {}, events: {} }
    changes.push(...actor(`${old.service}.${name}`, { was, is, old, now }))
  }
  for (const name of added(old.actors, now.actors)) {
    const what = "the actor is new"
    changes.push(
      compatible(`${now.service}.${name}`, what, "nobody knows it yet", "deploy the service before anybody sends to it")
    )
  }
  return changes
}

/** Whether nobody is broken. */
export const isCompatible = (changes: ReadonlyArray<Change>): boolean =>
  changes.every(({ breaks }) => breaks === "nobody")

const compatible = (path: string, what: string, why: string, todo: string): Change => ({
  breaks: "nobody",
  path,
  what,
  why,
  todo
})

const renamed = (from: string, to: string): ReadonlyArray<Change> => {
  const change = {
    path: from,
    what: `the service is called ${to}`,
    todo: `keep ${from}, or run both until nobody uses it`
  }
  return [
    { ...change, breaks: "senders", why: "commands are sent to a stream that nobody reads" },
    { ...change, breaks: "receivers", why: "events are published in another stream" }
  ]
}

const version = ({ service, version: was }: Document, { version: is }: Document): ReadonlyArray<Change> => {
  const [path, what] = [`${service}.version`, `${was} became ${is}`]
  if (is > was) return [compatible(path, what, "an older host parks the commands that it does not know", "nothing")]
  if (is === was) return []
  const why = "a host takes an unknown command for one of a newer contract, and parks it for good"
  return [{ breaks: "senders", path, what, why, todo: `let it be ${was} or more` }]
}

interface Both<A> {
  readonly was: A
  readonly is: A
  readonly old: Document
  readonly now: Document
}

const actor = (path: string, both: Both<Actor>): ReadonlyArray<Change> => {
  const { is, now, old, was } = both
  const changes: Array<Change> = []
  const keys = schemas({ ...both, was: was.key, is: is.key })
  for (const { at, why } of problems(keys.was, keys.is)) {
    const todo = "let the key be what it was; a new kind of key is a new actor"
    changes.push({
      breaks: "senders",
      path: `${path}.key${at}`,
      what: "keys that were fine are so no longer",
      why,
      todo
    })
  }
  if (changes.length === 0 && !same(keys.was, keys.is)) {
    changes.push(compatible(`${path}.key`, "the key changed", "every older key is one still", "nothing"))
  }
  if (was.whenDead !== is.whenDead) {
    const why =
      is.whenDead === "skip"
        ? "a key goes on after a message that was given up"
        : "a key waits after a message that was given up"
    changes.push(
      compatible(
        `${path}.whenDead`,
        `${was.whenDead} became ${is.whenDead}`,
        why,
        "tell who relies on the order of a key"
      )
    )
  }
  for (const [name, command] of Object.entries(was.commands)) {
    const other = own(is.commands, name)
    if (other !== undefined) changes.push(...commands(`${path}.${name}`, { ...both, was: command, is: other }))
    else
      changes.push({
        breaks: "senders",
        path: `${path}.${name}`,
        what: "the command is gone",
        why: "whoever sends it is refused with TRP0202",
        todo: "keep it until nobody sends it"
      })
  }
  for (const name of added(was.commands, is.commands)) {
    const what = "the command is new"
    if (now.version > old.version)
      changes.push(compatible(`${path}.${name}`, what, "an older host parks it until a newer one comes", "nothing"))
    else
      changes.push({
        breaks: "senders",
        path: `${path}.${name}`,
        what,
        why: `an older host cannot tell that it is new: it refuses it with TRP0202`,
        todo: `raise the contract's version to ${old.version + 1}`
      })
  }
  for (const [name, versions] of Object.entries(was.events)) {
    changes.push(...event(`${path}.${name}`, { ...both, was: versions, is: own(is.events, name) ?? [] }))
  }
  for (const name of added(was.events, is.events)) {
    changes.push(compatible(`${path}.${name}`, "the event is new", "an older receiver passes over it", "nothing"))
  }
  return changes
}

const commands = (path: string, both: Both<Command>): ReadonlyArray<Change> => {
  const { is, was } = both
  const payload = schemas({ ...both, was: was.payload, is: is.payload })
  return [
    ...towards(`${path}.payload`, payload, problems(payload.was, payload.is), problems(payload.is, payload.was), {
      breaks: "what older senders send is refused with TRP0201",
      todo: "let what is new be optional and take what was taken, or declare a new command",
      fine: "an older host refuses it with TRP0201"
    }),
    ...reply(`${path}.reply`, both),
    ...errors(`${path}.errors`, both)
  ]
}

const answers = {
  breaks: "older senders cannot read the answer: TRP0208",
  todo: "answer with what was there, and more in properties of their own, or declare a new command",
  fine: "an older host still answers otherwise, which is read as TRP0208"
}

const reply = (path: string, both: Both<Command>): ReadonlyArray<Change> => {
  const { is, was } = both
  if (was.reply !== undefined && is.reply !== undefined) {
    const answer = schemas({ ...both, was: was.reply, is: is.reply })
    return towards(path, answer, problems(answer.is, answer.was), problems(answer.was, answer.is), answers)
  }
  if (was.reply === is.reply) return []
  const what = is.reply === undefined ? "it answers with nothing" : "it answers with something"
  return [{ breaks: "senders", path, what, why: answers.breaks, todo: "declare a new command" }]
}

const errors = (path: string, both: Both<Command>): ReadonlyArray<Change> => {
  const was = byTag(both.was.errors, both.old)
  const is = byTag(both.is.errors, both.now)
  const changes: Array<Change> = []
  for (const [name, node] of Object.entries(is)) {
    const older = own(was, name)
    const at = `${path}.${name}`
    if (older === undefined)
      changes.push({
        breaks: "senders",
        path: at,
        what: "the error is new",
        why: answers.breaks,
        todo: "declare a new command that may answer with it"
      })
    else {
      const error = schemas({ ...both, was: older, is: node })
      changes.push(...towards(at, error, problems(error.is, error.was), problems(error.was, error.is), answers))
    }
  }
  for (const name of added(is, was)) {
    changes.push(
      compatible(
        `${path}.${name}`,
        "the error is gone",
        "older senders wait for it in vain",
        "deploy the service before a sender takes this contract"
      )
    )
  }
  return changes
}
const byTag = (errors: ReadonlyArray<JsonSchema>, { $defs }: Document) =>
  Object.fromEntries(errors.map((node, i) => [tag(meant({ node, $defs })) ?? String(i), node]))

const event = (path: string, both: Both<ReadonlyArray<JsonSchema>>): ReadonlyArray<Change> => {
  const { is, was } = both
  const breaks = "receivers"
  if (is.length === 0)
    return [
      {
        breaks,
        path,
        what: "the event is gone",
        why: "whoever listens to it waits in vain",
        todo: "keep it until nobody listens to it"
      }
    ]
  const changes = was.flatMap((node, i): ReadonlyArray<Change> => {
    const at = `${path}.v${i + 1}`
    const later = is[i]
    if (later === undefined)
      return [
        {
          breaks,
          path: at,
          what: "the version is gone",
          why: "events of it are in streams, and are refused with TRP0209",
          todo: "declare it again"
        }
      ]
    const payload = schemas({ ...both, was: node, is: later })
    if (same(payload.was, payload.is)) return []
    const [newer] = problems(payload.is, payload.was)
    const [older] = problems(payload.was, payload.is)
    const why =
      newer !== undefined
        ? `older receivers refuse what is new with TRP0209: ${told(newer)}`
        : older !== undefined
          ? `events in streams are refused with TRP0209: ${told(older)}`
          : "two shapes under one version cannot be told apart"
    return [
      {
        breaks,
        path: at,
        what: "a published version changed",
        why,
        todo: "put it back, and declare the change with next(...)"
      }
    ]
  })
  for (let i = was.length; i < is.length; i++) {
    const why = "a receiver with the older contract gives each up as a dead letter, TRP0209"
    changes.push({
      breaks,
      path: `${path}.v${i + 1}`,
      what: "the version is new",
      why,
      todo: "let every receiver take this contract before the service emits it; redrive what one gave up"
    })
  }
  return changes
}

/** The texts for one side of a command. */
interface Texts {
  readonly breaks: string
  readonly todo: string
  readonly fine: string
}

/** `broken`: what senders with the older contract run into; `later`: what those with the newer one do, on an older host. */
const towards = (
  path: string,
  both: { readonly was: Rooted; readonly is: Rooted },
  broken: ReadonlyArray<Problem>,
  later: ReadonlyArray<Problem>,
  texts: Texts
): ReadonlyArray<Change> => {
  const todo = "deploy the service before a sender takes this contract"
  const changes = broken.map(({ at, why }): Change => ({
    breaks: "senders",
    path: path + at,
    what: why,
    why: texts.breaks,
    todo: texts.todo
  }))
  for (const { at, why } of later) {
    if (!broken.some((problem) => problem.at === at))
      changes.push(compatible(path + at, `before, ${why}`, texts.fine, todo))
  }
  for (const { at, what } of properties(both)) {
    if (!changes.some((change) => change.path === path + at))
      changes.push(compatible(path + at, what, "who does not know it passes over it", "nothing"))
  }
  if (changes.length > 0 || same(both.was, both.is)) return changes
  return [compatible(path, "its schema changed", "each side reads what the other writes", "nothing")]
}

/** Properties that came or went, at any depth; a schema that refers to itself is followed once. */
const properties = (
  { is, was }: { readonly was: Rooted; readonly is: Rooted },
  path = "",
  open: ReadonlyArray<string> = []
): ReadonlyArray<{ readonly at: string; readonly what: string }> => {
  const pair = `${String(was.node["$ref"])} ${String(is.node["$ref"])}`
  if (open.includes(pair)) return []
  const inside = was.node["$ref"] === undefined && is.node["$ref"] === undefined ? open : [...open, pair]
  const [before, after] = [below(was), below(is)]
  return [
    ...added(before, after).map((at) => ({ at: path + at, what: "the property is new" })),
    ...added(after, before).map((at) => ({ at: path + at, what: "the property is gone" })),
    ...Object.entries(before).flatMap(([at, node]) => {
      const other = own(after, at)
      return other === undefined
        ? []
        : properties({ was: { ...was, node }, is: { ...is, node: other } }, path + at, inside)
    })
  ]
}

/** What an object or an array consists of, by path: `.name`, `[0]`, `[]`. */
const below = (schema: Rooted): { readonly [at: string]: JsonSchema } => {
  const { items, prefixItems, properties } = meant(schema)
  return Object.fromEntries([
    ...Object.entries((properties ?? {}) as Document["$defs"]).map(([name, node]) => [`.${name}`, node] as const),
    ...((prefixItems ?? []) as ReadonlyArray<JsonSchema>).map((node, i) => [`[${i}]`, node] as const),
    ...(isRecord(items) ? [["[]", items] as const] : [])
  ])
}

const schemas = ({ is, now, old, was }: Both<JsonSchema>): { readonly was: Rooted; readonly is: Rooted } => ({
  was: { node: was, $defs: old.$defs },
  is: { node: is, $defs: now.$defs }
})
const told = ({ at, why }: Problem): string => (at === "" ? why : `${at.slice(1)}: ${why}`)
const added = (was: object, is: object): ReadonlyArray<string> =>
  Object.keys(is).filter((name) => !Object.hasOwn(was, name))
