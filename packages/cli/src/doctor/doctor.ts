import * as Print from "../Print.ts"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Ended } from "../Failure.ts"
import { Discovery, loadAll } from "../service/index.ts"
import * as Settings from "../Settings.ts"
import { diagnose } from "./diagnose.ts"
import { failed, type Finding, ok } from "./Finding.ts"
import type { Known } from "./pairs.ts"
import { healthy, report } from "./report.ts"

export interface Options {
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

/** Checks everything and says what it found; ends with exit code 1 when something failed. */
export const doctor = (options: Options) =>
  Effect.gen(function* () {
    const natsUrl = yield* Settings.optional("NATS_URL", options.natsUrl)
    const databaseUrl = yield* Settings.optional("DATABASE_URL", options.databaseUrl)
    const { finding, known } = yield* services
    const names = known.map(({ name }) => name)
    const findings = [...(yield* diagnose({ natsUrl, databaseUrl, services: names, known })), ...finding]
    yield* options.json
      ? Print.out(JSON.stringify({ ok: healthy(findings), findings }))
      : Print.coloured(report(findings, process.stdout.isTTY === true && !process.env["NO_COLOR"]))
    if (!healthy(findings)) return yield* new Ended({ code: 1 })
  })

/** The services below the working directory, whose streams and databases are looked at too. */
const services = Effect.gen(function* () {
  const programs = yield* loadAll(yield* Discovery.files([]))
  const names = programs.services.map(({ service }) => service.name)
  const finding: ReadonlyArray<Finding> = names.length === 0 ? [] : [ok("services", names.join(", "))]
  const known: ReadonlyArray<Known> = programs.services.map(({ service: { actors, name, subscribers } }) => ({
    name,
    consumers: new Set([
      `${name}.outbox`,
      ...actors.map(({ ref }) => ref.name),
      ...subscribers.map((subscriber) => `${name}.${subscriber.name}`)
    ])
  }))
  return { known, finding }
}).pipe(Effect.catch((error) => Effect.succeed({ known: [], finding: [failed("services", error)] })))
