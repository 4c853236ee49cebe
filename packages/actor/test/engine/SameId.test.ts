import { Actor } from "@troupe/actor"
import { assert, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Agenda } from "../../src/engine/Agenda.ts"
import * as Batch from "../../src/engine/Batch.ts"
import { Brake } from "../../src/engine/Brake.ts"
import * as Cache from "../../src/engine/Cache.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import { Loader } from "../../src/engine/Loader.ts"
import * as Parking from "../../src/engine/Parking.ts"
import { TooMuch } from "../../src/engine/TooMuch.ts"
import { incoming } from "./incoming.ts"

class Till extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: {} }) },
  events: { paid: Contract.event({}) }
}) {}
const Shop = Contract.make("shop", { Till })

it.live("an id that two keys use at once never keeps a state without its events", () =>
  Effect.gen(function* () {
    const actor = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
      pay: async (_, self) => {
        await new Promise((resolve) => setTimeout(resolve, 10))
        self.set(self.state + 1)
        self.emit.paid()
      }
    })
    const consumer = Consumer.ofActor(Shop, actor, 1)
    const agenda = { policy: Parking.policy, size: 0, key: () => undefined } as Partial<Agenda> as Agenda
    const memory: Batch.Memory = {
      fence: { consumer: 1, p: 0, token: "", n: 0 },
      pos: 0,
      cursors: {},
      cache: Cache.make({ entries: 100, size: 10_000 }),
      agenda,
      brake: new Brake(),
      wary: 0
    }
    const headers = Envelope.toHeaders({ id: "same", type: "shop.Till.pay", source: "test" })
    const items = ["a", "b"].map((key) => incoming({ subject: `cmd.shop.0.Till.pay.${key}`, headers, data: "{}" }))
    const options = { maxPayload: 1_000_000, transaction: false, check: false, watermarks: () => [] }
    const result = yield* Effect.result(Batch.handle(consumer, memory, items, options)).pipe(
      Effect.provideService(Loader, {
        load: () => Effect.succeed({ copies: [], inbox: new Map(), states: new Map() })
      } as never),
      Effect.provideService(Db, {} as never)
    )
    // One after the other, the inbox tells the second one from the first.
    if (result._tag === "Failure") return assert.instanceOf(result.failure, TooMuch)
    const { outbox, states } = result.success.work
    assert.strictEqual(states.length, outbox.length)
  })
)
