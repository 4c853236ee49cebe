import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { lineOf } from "../Failure.ts"
import type { Loaded } from "../service/index.ts"
import * as Print from "../Print.ts"
import * as Notices from "./Notices.ts"

/** After a run failed with `error`: what doctor finds failing besides, on stderr. Nothing where it finds nothing. */
export const findings = (
  error: unknown,
  servers: {
    readonly natsUrl: Option.Option<Redacted.Redacted>
    readonly databaseUrl: Option.Option<Redacted.Redacted>
  },
  loaded: ReadonlyArray<Loaded>
) =>
  Effect.gen(function* () {
    const { diagnose } = yield* Effect.promise(() => import("../doctor/diagnose.ts"))
    const { lines } = yield* Effect.promise(() => import("../doctor/report.ts"))
    const { known } = yield* Effect.promise(() => import("../doctor/services.ts"))
    const found = yield* diagnose({ ...servers, known: loaded.map(known), only: true })
    const line = lineOf(error)
    const faults = found.filter(({ says, status }) => status === "fail" && !line.startsWith(says))
    if (faults.length === 0) return
    Notices.say("something failed; this is what troupe doctor finds:")
    Print.err(lines(faults).join("\n"))
  })
