import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fixtures, troupe } from "./troupe.ts"

/** A folder with the services of the fixtures and no policy. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const made = mkdtempSync(join(tmpdir(), "troupe-policy-"))
    symlinkSync(join(fixtures, "services"), join(made, "services"))
    return made
  }),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

describe("troupe permissions", () => {
  it.live("writes the policy, finds it as committed, and says by exit code and diff when it is not", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const none = yield* troupe(["permissions", "--check"], {}, cwd)
      assert.strictEqual(none.code, 1)
      assert.match(none.err, /^TRP0606 .*troupe permissions --write/)
      assert.strictEqual((yield* troupe(["permissions", "--write"], {}, cwd)).code, 0)
      assert.deepInclude(yield* troupe(["permissions", "--check"], {}, cwd), { code: 0, err: "" })

      const file = join(cwd, "infra/policy/nats.conf")
      writeFileSync(file, readFileSync(file, "utf8").replace('"_INBOX.*.>"', '">"'))
      const changed = yield* troupe(["permissions", "--check"], {}, cwd)
      assert.strictEqual(changed.code, 1)
      assert.match(changed.out, /^nats\.conf\n- +">"\n\+ +"_INBOX\.\*\.>"\n$/)
      const json = yield* troupe(["permissions", "--check", "--json"], {}, cwd)
      assert.deepInclude(JSON.parse(json.out), { ok: false })
      assert.strictEqual(json.code, 1)
    }).pipe(Effect.scoped)
  )

  it.live("prints one service's role, and refuses what is no service and what says nothing to do", () =>
    Effect.gen(function* () {
      const sql = yield* troupe(["permissions", "services/alpha/src/main.ts", "--format", "sql"])
      assert.match(sql.out, /grant connect on database %I to "cli-alpha"/)
      assert.match((yield* troupe(["permissions"])).err, /^TRP0602 .*one of --format, --check and --write/)
      assert.match((yield* troupe(["permissions", "noService.ts", "--format", "nats"])).err, /^TRP0102 /)
    })
  )
})
