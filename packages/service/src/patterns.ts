import type { Contract } from "@troupe/contract"
import { Patterns } from "@troupe/contract/patterns"
import type { Service } from "./Service.ts"

/** A pattern that could stop a host of this service: among all that it reads or writes messages and states by. */
export const unproven = ({ actors, allow, contract, subscribers }: Service): Patterns.Unproven | undefined =>
  Patterns.unproven([
    ...[contract, ...(allow.send ?? [])].flatMap(Patterns.places),
    ...subscribers.flatMap(({ handlers }) =>
      [...handlers.values()].flatMap(({ event }) => Patterns.placesOfEvent(event))
    ),
    ...actors.flatMap(({ ref, state }) => placesOfState(ref.name, state)),
    ...subscribers.flatMap(({ name, state }) => placesOfState(name, state))
  ])

const placesOfState = (
  name: string,
  { schema, upcasts }: Service["subscribers"][number]["state"]
): ReadonlyArray<Patterns.Place> =>
  [...upcasts.map(({ from }) => from), schema].map((schema, i) => ({
    at: `${name}: state ${i + 1}`,
    schema: schema as Contract.Codec
  }))
