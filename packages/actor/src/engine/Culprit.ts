import { AsyncLocalStorage } from "node:async_hooks"
import { Text } from "@troupe/contract"
import { Commit } from "@troupe/postgres/internal"
import type { Running } from "./Board.ts"
import type { Consumer } from "./Consumer.ts"
import type { Incoming } from "./Mailbox.ts"

/** One run of a handler. */
export interface Culprit {
  readonly running: Running
  /** Ends the run with a defect. `undefined` once the run is over. Written by the run itself. */
  fail: ((why: unknown) => void) | undefined
}

const storage = new AsyncLocalStorage<Culprit>()

/** Runs code on behalf of a handler: timers, sockets and promises that it starts belong to it, also after its turn. */
export const within: <A>(culprit: Culprit, run: () => A) => A = (culprit, run) => storage.run(culprit, run)

/** The run whose code threw, as far as an `uncaughtException` or `unhandledRejection` can tell. */
export const current = (): Culprit | undefined => storage.getStore()

/** The id by which a message is suspected: its `ce-id`, at most 200 characters, or `<stream> <sequence>`. */
export const idOf = ({ message, stream }: Pick<Incoming, "message" | "stream">): string => {
  const id = message.headers.get("ce-id") ?? ""
  return id === "" ? `${stream} ${message.seq}` : Commit.clean(id, 200)
}

/** A message as the board and `troupe.suspect` show it. */
export const runningOf = (consumer: Consumer, incoming: Incoming): Running => {
  const { headers, subject } = incoming.message
  const [, , p = "", , , key = ""] = subject.split(".", 6)
  const id = idOf(incoming)
  return {
    consumer: consumer.id,
    p: Number(p),
    id,
    what: Text.line(`${Commit.clean(headers.get("ce-type") ?? "", 200)} ${key}, id ${id}`)
  }
}
