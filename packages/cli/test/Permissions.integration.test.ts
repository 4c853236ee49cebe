import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
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
      writeFileSync(file, readFileSync(file, "utf8").replace('"_INBOX.*.*"', '">"'))
      const changed = yield* troupe(["permissions", "--check"], {}, cwd)
      assert.strictEqual(changed.code, 1)
      assert.match(changed.out, /^nats\.conf\n- +">"\n\+ +"_INBOX\.\*\.\*"\n$/)
      const json = yield* troupe(["permissions", "--check", "--json"], {}, cwd)
      assert.deepInclude(JSON.parse(json.out), { ok: false })
      assert.strictEqual(json.code, 1)
    }).pipe(Effect.scoped)
  )

  it.live("removes the files of a service that is gone, and leaves what is none of its own", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const write = ["permissions", "--write"]
      assert.strictEqual((yield* troupe(write, {}, cwd)).code, 0)
      for (const name of ["gone.sql", "gone.deno", "README.md"]) writeFileSync(join(cwd, "infra/policy", name), "x\n")
      const check = yield* troupe(["permissions", "--check"], {}, cwd)
      assert.match(check.out, /^gone\.deno\n- x\n(.*\n)?gone\.sql\n- x\n/)
      assert.notInclude(check.out, "README")
      // As its error says.
      assert.match(check.err, /^TRP0606 .*troupe permissions --write/)
      // Who names some of the services says nothing of the others.
      assert.strictEqual((yield* troupe([...write, "services/alpha/src/main.ts"], {}, cwd)).code, 0)
      assert.include(readdirSync(join(cwd, "infra/policy")), "gone.sql")
      assert.strictEqual((yield* troupe(write, {}, cwd)).code, 0)
      assert.deepInclude(yield* troupe(["permissions", "--check"], {}, cwd), { code: 0, err: "" })
      assert.include(readdirSync(join(cwd, "infra/policy")), "README.md")
    }).pipe(Effect.scoped)
  )

  it.live("makes one set of keys when several make it at a time", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const accounts = troupe(["permissions", "--format", "jwt", "--keys", "keys"], {}, cwd)
      const made = yield* Effect.all([accounts, accounts, accounts], { concurrency: 3 })
      for (const { code, err } of made) assert.deepStrictEqual({ code, err }, { code: 0, err: "" })
      const keys = made.map(({ out }) => out.match(/[OA][A-Z2-7]{55}|^operator: \S+/gm))
      assert.deepStrictEqual(keys[1], keys[0])
      assert.deepStrictEqual(keys[2], keys[0])
      const left = readdirSync(join(cwd, "keys"), { recursive: true, encoding: "utf8" })
      assert.deepStrictEqual(
        left.filter((name) => /\.\d+$/.test(name)),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.live("says what is wrong with keys that cannot be read, are empty, or revoke nobody", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const accounts = ["permissions", "--format", "jwt", "--keys", "keys"]
      const token = ["permissions", "token", "cli-alpha", "--keys"]
      assert.strictEqual((yield* troupe(accounts, {}, cwd)).code, 0)
      const file = "keys/operator.jwt"
      assert.match((yield* troupe([...token, file], {}, cwd)).err, /^TRP0607 .*ENOTDIR/)
      assert.match((yield* troupe(["permissions", "revoke", "cli-alpha", "--keys", file], {}, cwd)).err, /^TRP0607 /)
      assert.match((yield* troupe([...accounts.slice(0, -1), file], {}, cwd)).err, /^TRP0026 .*ENOTDIR/)
      writeFileSync(join(cwd, "keys/cli-alpha/revoked"), "yesterday")
      assert.match((yield* troupe(accounts, {}, cwd)).err, /^TRP0607 .*revoked says "yesterday", which is no time/)
      rmSync(join(cwd, "keys/cli-alpha/revoked"))
      writeFileSync(join(cwd, file), "")
      const empty = yield* troupe(accounts, {}, cwd)
      assert.match(empty.err, /^TRP0607 .*operator\.jwt is empty/)
      assert.strictEqual(empty.out, "")
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

  it.live("makes keys that only their owner can read, keeps them, and issues and revokes users with them", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const accounts = ["permissions", "--format", "jwt", "--keys", "keys"]
      const first = yield* troupe(accounts, {}, cwd)
      assert.match(first.out, /^operator: ey/m)
      const files = readdirSync(join(cwd, "keys"), { recursive: true, encoding: "utf8" })
        .map((name) => join(cwd, "keys", name))
        .filter((file) => statSync(file).isFile())
      for (const file of files) {
        assert.strictEqual(statSync(file).mode & 0o777, 0o600, file)
        if (file.endsWith(".nk")) assert.notInclude(first.out, readFileSync(file, "utf8"))
      }
      const keys = (text: string) => text.match(/[OA][A-Z2-7]{55}/g)
      assert.deepStrictEqual(keys((yield* troupe(accounts, {}, cwd)).out), keys(first.out))

      const issue = ["permissions", "token", "cli-alpha", "--keys", "keys"]
      const { out } = yield* troupe([...issue, "--ttl", "15m", "--out", "alpha.creds", "--json"], {}, cwd)
      assert.approximately(JSON.parse(out).expires, Date.now() / 1_000 + 900, 60)
      assert.strictEqual(statSync(join(cwd, "alpha.creds")).mode & 0o777, 0o600)
      assert.match(readFileSync(join(cwd, "alpha.creds"), "utf8"), /^-----BEGIN NATS USER JWT-----\ney/)
      assert.match((yield* troupe([...issue, "--ttl", "1 week"], {}, cwd)).err, /^TRP0602 /)
      const nobody = yield* troupe(["permissions", "token", "nobody", "--keys", "keys"], {}, cwd)
      assert.match(nobody.err, /^TRP0607 .* nobody .*permissions --format jwt --keys DIR/)

      const revoked = yield* troupe(["permissions", "revoke", "cli-alpha", "--keys", "keys", "--json"], {}, cwd)
      const since = JSON.parse(revoked.out).revoked
      assert.strictEqual(readFileSync(join(cwd, "keys/cli-alpha/revoked"), "utf8"), String(since))
      assert.isAbove(Date.now() / 1_000, since + 1)
    }).pipe(Effect.scoped)
  )
})
