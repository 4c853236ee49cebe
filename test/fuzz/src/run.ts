import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { connect } from "@troupe/client/node"
import { connected } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import { judge, type Verdict } from "./judge.ts"
import { load, type Outcome, watched } from "./load.ts"
import { type Program, start } from "./program.ts"
import { servers } from "./servers.ts"
import { all, valid } from "./tokens.ts"

export interface Options {
  readonly seed: number
  readonly minutes: number
  readonly perSecond: { readonly messages: number; readonly requests: number }
}

export interface Result extends Omit<Outcome, "problems" | "hangs"> {
  readonly crashes: number
  readonly hangs: number
  readonly deadLetters: Readonly<Record<string, number>>
  readonly parked: number
  readonly host: Verdict
  readonly gateway: Verdict
  /** Promises that were broken. */
  readonly violations: ReadonlyArray<string>
  /** Where the logs of host and gateway are kept after a violation. */
  readonly logs: string | undefined
}

/** Maximum number of violations of one kind that are told. */
const told = 20

/** Attacks a host and a gateway on servers of their own. */
export const run = ({ minutes, perSecond, seed }: Options): Effect.Effect<Result, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { databaseUrl, natsUrl } = yield* servers
      const logs = mkdtempSync(join(tmpdir(), "troupe-fuzz-"))
      const secret = randomBytes(32).toString("hex")
      const programs = yield* Effect.all([
        start("host", script("host"), { natsUrl, databaseUrl }, join(logs, "host.log")),
        start("gateway", script("gateway"), { natsUrl, secret }, join(logs, "gateway.log"))
      ])
      const [host, gateway] = programs as [Program, Program]
      const client = yield* Effect.acquireDisposable(
        Effect.promise(() => connect({ servers: natsUrl, name: "fuzzer", inboxPrefix: "_INBOX.valid" }))
      )
      const sql = yield* connected(databaseUrl)
      const { health, outcome } = yield* Effect.promise(async () => {
        const over = new AbortController()
        const watching = programs.map(({ name, url }) => watched(name, url, over.signal))
        const outcome = await load({
          seed,
          minutes,
          perSecond,
          natsUrl,
          gatewayUrl: gateway.url,
          client,
          tokens: await all(secret),
          token: await valid(secret),
          goesOn: () => programs.every(({ ended }) => ended() === undefined)
        })
        over.abort()
        return { health: (await Promise.all(watching)).flat(), outcome }
      })
      const crashes = programs.flatMap(({ ended, name }) =>
        ended() === undefined ? [] : [`${name} ended: ${ended()}`]
      )
      const rows = yield* Effect.promise(() => sql`select code, count(*)::int as count from troupe.dead group by 1`)
      const [{ parked } = { parked: 0 }] = yield* Effect.promise(
        () => sql<Array<{ parked: number }>>`select count(*)::int as parked from troupe.parked`
      )
      const [ofHost, ofGateway] = [judge("host", host.vitals), judge("gateway", gateway.vitals)]
      const { hangs, problems, ...counted } = outcome
      const violations = [
        ...crashes,
        ...hangs.slice(0, told).map((head) => `a request had no answer: ${JSON.stringify(head)}`),
        ...health.slice(0, told),
        ...problems.slice(0, told),
        ...ofHost.violations,
        ...ofGateway.violations
      ]
      if (violations.length === 0) rmSync(logs, { recursive: true, force: true })
      return {
        ...counted,
        crashes: crashes.length,
        hangs: hangs.length + health.length,
        deadLetters: Object.fromEntries(rows.map((row) => [row["code"], row["count"]])),
        parked,
        host: ofHost.verdict,
        gateway: ofGateway.verdict,
        violations,
        logs: violations.length === 0 ? undefined : logs
      }
    })
  )

const script = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
