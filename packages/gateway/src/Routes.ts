import { Contract, Key, type Target } from "@troupe/contract"
import * as Schema from "effect/Schema"
import type { Kind } from "./Documents.ts"

/** A command that can be sent. */
export interface Command {
  /** `orders.Order.place` */
  readonly type: string
  readonly target: Target
  /** Whether the contract takes it for a key of the actor, and a subject can have it. */
  readonly isKey: (key: string) => boolean
}

/** Every command of the contracts by its type. */
export const commands = (contracts: ReadonlyArray<Contract.AnyContract>): ReadonlyMap<string, Command> =>
  new Map(
    contracts.flatMap(Contract.actors).flatMap(({ commands, definition }) => {
      const isDeclared = Schema.is(definition.key as unknown as Schema.Schema<string>)
      const isKey = (key: string): boolean => Key.encode(key) !== undefined && isDeclared(key)
      return Object.values(commands).map(({ target, type }): [string, Command] => [type, { type, target, isKey }])
    })
  )

/** What a path names. */
export type Route =
  | { readonly kind: "livez" }
  | { readonly kind: "readyz" }
  | { readonly kind: "metrics" }
  | { readonly kind: "document"; readonly document: Kind }
  | { readonly kind: "cloudevent"; readonly service: string }
  | { readonly kind: "events"; readonly service: string }
  /** `key` is `undefined` when it is not percent-encoded UTF-8. */
  | { readonly kind: "command"; readonly type: string; readonly key: string | undefined }

/** The methods that a route takes. */
export const methods = ({ kind }: Route): ReadonlyArray<string> => {
  if (kind === "command" || kind === "cloudevent") return ["POST"]
  return kind === "events" ? ["GET"] : ["GET", "HEAD"]
}

/** Reads a path. Of the segments only the key may be encoded: the others are names. */
export const parse = (path: string): Route | undefined => {
  const [, first = "", service = "", actor, key, command, ...more] = path.split("/")
  if (path === "/") return { kind: "document", document: "page" }
  if (path === "/openapi.json" || path === "/asyncapi.json")
    return { kind: "document", document: path === "/openapi.json" ? "openapi.json" : "asyncapi.json" }
  if (first !== "v1") return path === `/${first}` && isOwn(first) ? { kind: first } : undefined
  if (service === "" || more.length > 0) return undefined
  if (actor === undefined) return { kind: "cloudevent", service }
  if (key === undefined) return actor === "events" ? { kind: "events", service } : undefined
  return command === undefined
    ? undefined
    : { kind: "command", type: `${service}.${actor}.${command}`, key: decoded(key) }
}

const isOwn = (name: string): name is "livez" | "readyz" | "metrics" =>
  name === "livez" || name === "readyz" || name === "metrics"

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
