import { hash } from "node:crypto"
import { Id } from "@troupe/contract"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A message's id as the inbox keeps it: itself when it is a UUID, else a UUIDv8 of its SHA-256. */
export const ofMessage = (id: string): string => (uuid.test(id) ? id.toLowerCase() : version8(`id\0${id}`))

/**
 * The id of what a turn stages: UUIDv8 of SHA-256(consumer, input id, ordinal). A turn that runs again stages the same
 * ids, so nobody downstream handles it twice. `ordinal` counts all staged items of the turn; the reply is -1.
 */
export const derived = (consumer: string, input: string, ordinal: number): string =>
  version8(`${consumer}\0${input}\0${ordinal}`)

/**
 * `derived` for what a turn stages. With the key: an id that somebody used for messages to two keys is two messages, each in
 * its partition's inbox, and what they stage must not be taken for the same.
 */
export const staged = (
  consumer: string,
  { id, token }: { readonly id: string; readonly token: string },
  ordinal: number
) => derived(consumer, `${id}\0${token}`, ordinal)

/** What a command asks for, so that the same id with another request is told apart. */
export const ofRequest = (type: string, key: string, body: string): string =>
  hash("sha256", `${type}\0${key}\0${body}`, "hex")

const version8 = (text: string): string => Id.version8(hash("sha256", text, "hex"))
