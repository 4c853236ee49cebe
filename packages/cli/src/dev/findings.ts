import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { Loaded } from "../service/index.ts"
import * as Notices from "./Notices.ts"

/** What doctor finds fault with, on stderr: after something went wrong. */
export const findings = (
  servers: {
    readonly natsUrl: Option.Option<Redacted.Redacted>
    readonly databaseUrl: Option.Option<Redacted.Redacted>
  },
  loaded: ReadonlyArray<Loaded>
) =>
  Effect.gen(function* () {
    const { diagnose } = yield* Effect.promise(() => import("../doctor/diagnose.ts"))
    const { report } = yield* Effect.promise(() => import("../doctor/report.ts"))
    Notices.say("something failed; this is what troupe doctor finds:")
    const found = yield* diagnose({ ...servers, services: loaded.map(({ service }) => service.name) })
    const faults = found.filter(({ status }) => status !== "ok")
    process.stderr.write(
      `${faults.length === 0 ? "nothing: servers, streams and databases are fine" : report(faults)}\n`
    )
  })
