import { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import type { Agenda } from "../../src/engine/Agenda.ts"
import * as Batch from "../../src/engine/Batch.ts"
import { Brake } from "../../src/engine/Brake.ts"
import * as Cache from "../../src/engine/Cache.ts"
import type { Consumer } from "../../src/engine/Consumer.ts"
import type { Incoming } from "../../src/engine/Mailbox.ts"
import { Loader } from "../../src/engine/Loader.ts"
import * as Parking from "../../src/engine/Parking.ts"

/**
 * Runs the first batch of a partition in memory, whose database is empty: what it would commit, or why it would not.
 * `postponed`: keys whose states are too large to be read beside others.
 */
export const handled = (
  consumer: Consumer,
  items: ReadonlyArray<Incoming>,
  postponed: ReadonlySet<string> = new Set()
) => {
  const agenda = { policy: Parking.policy, size: 0, key: () => undefined } as Partial<Agenda> as Agenda
  const memory: Batch.Memory = {
    fence: { consumer: 1, p: 0, token: "", n: 0 },
    pos: 0,
    cursors: {},
    cache: Cache.make({ entries: 100, size: 10_000 }),
    agenda,
    brake: new Brake(),
    wary: 0,
    left: []
  }
  const options = { maxPayload: 1_048_576, transaction: false, check: false, watermarks: () => [] }
  return Batch.handle(consumer, memory, items, options).pipe(
    Effect.provideService(Loader, {
      load: () => Effect.succeed({ copies: [], inbox: new Map(), postponed, states: new Map() })
    } as never),
    Effect.provideService(Db, {} as never)
  )
}
