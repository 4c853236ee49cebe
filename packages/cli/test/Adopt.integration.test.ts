import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { adopt } from "../src/dev/adopt.ts"
import { query } from "./database.ts"
import { place } from "./place.ts"

it.live("troupe dev takes the streams of an earlier development database, and nobody else's", () =>
  Effect.gen(function* () {
    const { jsm, natsUrl, service, url } = yield* place
    const [{ id } = { id: "" }] = yield* query(url, "select id from troupe.identity")
    const marked = (metadata: Record<string, string>) =>
      Effect.gen(function* () {
        for (const kind of ["CMD", "EVT"])
          yield* Effect.promise(() => jsm.streams.update(`${kind}_${service}`, { metadata }))
        yield* adopt(service, url, natsUrl)
        const { config } = yield* Effect.promise(() => jsm.streams.info(`EVT_${service}`))
        return config.metadata?.["troupe-database"]
      })
    const other = crypto.randomUUID()
    // A database that a service has run on already was not made by dev.
    assert.strictEqual(yield* marked({ "troupe-database": other, "troupe-development": "true" }), other)
    yield* query(url, "update troupe.identity set service = null")
    assert.strictEqual(yield* marked({ "troupe-database": other }), other, "streams of production stay")
    assert.strictEqual(yield* marked({ "troupe-database": other, "troupe-development": "true" }), id)
    assert.strictEqual(yield* marked({}), undefined, "the host marks what nobody has marked")
  }).pipe(Effect.scoped)
)
