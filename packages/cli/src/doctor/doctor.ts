import * as Print from "../Print.ts"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Ended } from "../Failure.ts"
import * as Settings from "../Settings.ts"
import { diagnose } from "./diagnose.ts"
import { healthy, report } from "./report.ts"
import { services } from "./services.ts"

export interface Options {
  readonly files: ReadonlyArray<string>
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

/** Checks everything and says what it found; ends with exit code 1 when something failed. */
export const doctor = (options: Options) =>
  Effect.gen(function* () {
    const natsUrl = yield* Settings.optional("NATS_URL", options.natsUrl)
    const natsCreds = Settings.natsCreds(options.natsCreds)
    const databaseUrl = yield* Settings.optional("DATABASE_URL", options.databaseUrl)
    const { finding, known } = yield* services(options.files)
    const only = options.files.length > 0
    const findings = [...(yield* diagnose({ natsUrl, natsCreds, databaseUrl, known, only })), finding]
    yield* options.json
      ? Print.out(JSON.stringify({ ok: healthy(findings), findings }))
      : Print.coloured(report(findings, process.stdout.isTTY === true && !process.env["NO_COLOR"]))
    if (!healthy(findings)) return yield* new Ended({ code: 1 })
  })
