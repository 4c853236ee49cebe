import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { hidden, hostile } from "./hostile.ts"
import { place } from "./place.ts"
import { fixtures, troupe } from "./troupe.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const made = mkdtempSync(join(tmpdir(), "troupe-foreign-"))
    mkdirSync(join(made, "services"))
    symlinkSync(join(fixtures, "services/alpha"), join(made, "services/alpha"))
    return made
  }),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

const carts = (actor: string) =>
  JSON.stringify({
    document: 1,
    service: "carts",
    version: 1,
    actors: { [actor]: { key: { type: "string" }, whenDead: "skip", commands: {}, events: {} } },
    $defs: {}
  })

interface Shown {
  readonly args: ReadonlyArray<string>
  readonly json?: true
  readonly shows: RegExp
}

/** It looks at services below the working directory. */
const doctor: Shown = { args: ["doctor"], json: true, shows: /31mred/ }

/** Its database is of that service. */
const migrate: Shown = { args: ["migrate", "bad/src/main.ts"], shows: /^TRP0505 .*31mred/ }

/** Each other command that shows what others wrote; `json` where it has the text in JSON too. */
const commands: ReadonlyArray<{ readonly args: ReadonlyArray<string>; readonly json?: true; readonly shows: RegExp }> =
  [
    { args: ["dead", "list"], json: true, shows: /31mred/ },
    { args: ["dead", "show", "1"], json: true, shows: /31mred/ },
    { args: ["dead", "redrive", "1", "--timeout", "1", "--by", hostile], shows: /^TRP0605/ },
    { args: ["dead", "discard", "--all", "--consumer", hostile], shows: /TRP06|no dead letters/ },
    { args: ["consumers", "list"], json: true, shows: /31mred/ },
    { args: ["consumers", "remove", hostile], shows: /^TRP0420 .*31mred/ },
    { args: ["identity", "show"], json: true, shows: /31mred/ },
    { args: ["identity", "move", "--service", "SERVICE"], shows: /^TRP0609 .*31mred/ },
    { args: ["streams", "list", "--service", hostile], shows: /^TRP0608 .*31mred/ },
    { args: ["contract", "diff", "old.json", "new.json"], json: true, shows: /31mred/ },
    { args: ["contract", "export", "new.json"], json: true, shows: /31mred/ },
    { args: ["permissions", "--check", "services/alpha/src/main.ts"], json: true, shows: /31mred/ },
    { args: ["run", "thrower.ts"], shows: /^TRP0103 .*31mred/ }
  ]

it.live(
  "no command of the CLI shows control or format characters of others, or forges a line by them",
  () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      writeFileSync(join(cwd, "old.json"), carts("Cart"))
      writeFileSync(join(cwd, "new.json"), carts(hostile))
      writeFileSync(join(cwd, "thrower.ts"), `throw new Error(${JSON.stringify(hostile)})`)
      mkdirSync(join(cwd, "infra/policy"), { recursive: true })
      writeFileSync(join(cwd, "infra/policy/nats.conf"), hostile)
      mkdirSync(join(cwd, "bad/migrations"), { recursive: true })
      mkdirSync(join(cwd, "bad/src"))
      writeFileSync(join(cwd, "bad/package.json"), '{ "type": "module" }')
      symlinkSync(join(fixtures, "../../node_modules"), join(cwd, "node_modules"))
      writeFileSync(
        join(cwd, "bad/src/main.ts"),
        'import { Contract } from "@troupe/contract"\nimport { Service } from "@troupe/service"\nexport default Service.make(Contract.make("bad", {}), {})'
      )
      writeFileSync(join(cwd, "bad/migrations/0001_bad.sql"), `do $$ begin raise '%', U&'${escapes(hostile)}'; end $$`)
      const { env, jsm, service, url } = yield* place
      yield* Effect.promise(() => jsm.streams.update(`CMD_${service}`, { metadata: { "troupe-database": hostile } }))
      const sql = Context.get(yield* Layer.build(Sql.layer({ url, max: 1 })), Sql)
      yield* Effect.promise(async () => {
        await sql`insert into troupe.consumer (name, partitions) values (${hostile}, 16)`
        await sql`insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
          select id, 0, ${hostile}, ${hostile}, ${hostile}, 1, ${hostile}, ${JSON.stringify({ [hostile]: hostile })}, ${Buffer.from(JSON.stringify({ hostile }))}, 'TRP0301', ${hostile}
          from troupe.consumer`
      })
      const named = { ...env, BAD_DATABASE_URL: env.DATABASE_URL, CLI_ALPHA_DATABASE_URL: env.DATABASE_URL }
      const wrongOf = (some: ReadonlyArray<Shown>) =>
        Effect.forEach(
          some.flatMap((one) => (one.json ? [one, { ...one, args: [...one.args, "--json"] }] : [one])),
          ({ args, shows }) =>
            Effect.gen(function* () {
              const { err, out } = yield* troupe(
                args.map((arg) => arg.replace("SERVICE", service)),
                named,
                cwd
              )
              const all = `${out}\n${err}`
              const isRight =
                shows.test(`${out}${err}`) &&
                !hidden.test(all.replaceAll(/[\n\t]/g, "")) &&
                !/^TRP9999/m.test(all) &&
                (!args.includes("--json") || textsOf(JSON.parse(out)).join("\n").includes("\u001b[31m"))
              return isRight ? [] : [{ args, out, err }]
            }),
          { concurrency: 2 }
        )
      const wrong = yield* wrongOf(commands)
      yield* Effect.promise(async () => {
        await sql`update troupe.identity set service = 'cli-alpha'`
        await sql`insert into troupe.consumer (name, partitions) values (${`cli-alpha.${hostile}`}, 16)`
      })
      wrong.push(...(yield* wrongOf([doctor])))
      yield* Effect.promise(() => sql`update troupe.identity set service = 'bad'`)
      wrong.push(...(yield* wrongOf([migrate])))
      assert.deepStrictEqual(wrong.flat(), [])
    }).pipe(Effect.scoped),
  120_000
)

/** For a string of PostgreSQL, `U&'…'`. */
const escapes = (text: string): string =>
  [...text].map((char) => `\\+${char.codePointAt(0)!.toString(16).padStart(6, "0")}`).join("")

const textsOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? [value]
    : typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, one]) => [name, ...textsOf(one)])
      : []
