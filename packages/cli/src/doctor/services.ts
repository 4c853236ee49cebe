import * as Effect from "effect/Effect"
import { Discovery, type Loaded, loadAll } from "../service/index.ts"
import { failed, type Finding, ok } from "./Finding.ts"

/** A service whose code is there, and the actors and subscribers of it. */
export interface Known {
  readonly name: string
  readonly consumers: ReadonlySet<string>
}

/** What every service has, whatever its code. */
export const internals = (service: string): ReadonlyArray<string> => [`${service}.outbox`, `${service}.unclaimed`]

export const known = ({ service: { actors, name, subscribers } }: Loaded): Known => ({
  name,
  consumers: new Set([
    ...internals(name),
    ...actors.map(({ ref }) => ref.name),
    ...subscribers.map((subscriber) => `${name}.${subscriber.name}`)
  ])
})

/** The services of the files that are named, else those below the working directory. */
export const services = (files: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const found = (yield* loadAll(yield* Discovery.files(files))).services.map(known)
    const says =
      found.length === 0
        ? "no services/*/src/main.ts here, and no FILE is named: what their code has is not compared"
        : found.map(({ name }) => name).join(", ")
    return { known: found, finding: ok("services", says) as Finding }
  }).pipe(Effect.catch((error) => Effect.succeed({ known: [], finding: failed("services", error) })))
