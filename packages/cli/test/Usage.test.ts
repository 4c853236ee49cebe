import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Commands from "../src/Commands.ts"
import * as Usage from "../src/Usage.ts"

/** What is shown for a command line that runs nothing. */
const shown = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const events: Array<CliOutput.Presenter.Event> = []
    yield* Command.runWith(Commands.troupe, { version: "1.2.3" })(args).pipe(
      Effect.ignore,
      Effect.provideService(CliOutput.Presenter, { present: (event) => Effect.sync(() => void events.push(event)) }),
      Effect.provide([NodeServices.layer, Usage.layer])
    )
    return events[0]
  })
const line = (...args: ReadonlyArray<string>) =>
  Effect.map(shown(...args), (event) =>
    event?._tag === "InvalidInvocation" ? Usage.line(event.commandPath, event.errors) : event?._tag
  )

describe("a command line", () => {
  it.effect("that is wrong is answered in one line, with what may have been meant", () =>
    Effect.gen(function* () {
      assert.match((yield* line("doctr")) ?? "", /^TRP0602 .* · troupe · .*"doctr".*; did you mean doctor\? · /)
      assert.match(
        (yield* line("dead", "list", "--limt", "3")) ?? "",
        /^TRP0602 .* · troupe dead list · .*did you mean --limit\?/
      )
      assert.match((yield* line("run")) ?? "", /^TRP0602 .* · troupe run · Missing required argument: file/)
      assert.match((yield* line("dead", "list", "--limit", "0")) ?? "", /between 1 and 10000/)
      assert.match((yield* line("dead", "show", "x")) ?? "", /^TRP0602 /)
      for (const args of [["doctr"], ["dead", "list", "--limt", "3"]]) assert.notInclude(yield* line(...args), "\n")
    })
  )

  it.effect("without a command shows help, which lists every command", () =>
    Effect.gen(function* () {
      const event = yield* shown()
      assert.strictEqual(event?._tag, "Help")
      const help = event?._tag === "Help" ? event.helpDoc : undefined
      const names = help?.subcommands?.flatMap(({ commands }) => commands.map(({ name }) => name))
      assert.deepStrictEqual(names, [
        "dev",
        "run",
        "migrate",
        "doctor",
        "streams",
        "dead",
        "consumers",
        "identity",
        "contract",
        "permissions"
      ])
    })
  )

  it.effect("has --json, a description and examples on every command", () =>
    Effect.gen(function* () {
      for (const path of [["dev"], ["run"], ["migrate"], ["doctor"], ["dead", "list"], ["dead", "show"]]) {
        const event = yield* shown(...path, "--help")
        assert.strictEqual(event?._tag, "Help")
        if (event?._tag !== "Help") continue
        assert.isTrue(
          event.helpDoc.flags?.some(({ name }) => name === "json"),
          path.join(" ")
        )
        assert.isNotEmpty(event.helpDoc.description)
        assert.isNotEmpty(event.helpDoc.examples)
      }
    })
  )

  it.effect("says of streams set that flags alone count, and of identity move what becomes of hosts", () =>
    Effect.gen(function* () {
      const set = yield* shown("streams", "set", "--help")
      assert.strictEqual(set?._tag, "Help")
      if (set?._tag === "Help") {
        const limits =
          set.helpDoc.flags?.filter(({ name }) => /^(stream-max|events|replicas|duplicate)/.test(name)) ?? []
        assert.strictEqual(limits.length, 4)
        for (const { description } of limits) assert.notInclude(String(description), "TROUPE_")
      }
      const move = yield* shown("identity", "move", "--help")
      assert.strictEqual(move?._tag, "Help")
      if (move?._tag === "Help") assert.match(move.helpDoc.description, /stay alive.*TRP0420.*503/)
    })
  )
})
