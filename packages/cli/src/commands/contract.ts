import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { json } from "./flags.ts"

const file = (name: string, description: string) => Argument.String(name).pipe(Argument.withDescription(description))

const exportCommand = Command.make(
  "export",
  {
    file: file("file", "A module that exports a contract or a service, or an exported contract"),
    format: Flag.Literals("format", ["jsonschema", "openapi", "asyncapi"]).pipe(
      Flag.withDescription(
        "The contract itself, what a gateway takes over HTTP (OpenAPI 3.1), or what goes over NATS (AsyncAPI 3.0)"
      ),
      Flag.withDefault("jsonschema")
    ),
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../contract/contract.ts")),
      ({ print }) => print(options)
    )
).pipe(
  Command.withDescription(
    "Print a contract as JSON: its commands and events as JSON Schema. The same contract gives the same text."
  ),
  Command.withShortDescription("Print a contract as JSON Schema"),
  Command.withExamples([
    {
      command: "troupe contract export contract/src/contract.ts > contract/contract.json",
      description: "Write the published file"
    },
    { command: "troupe contract export contract/src/contract.ts --format openapi", description: "For other languages" }
  ])
)

const diff = Command.make(
  "diff",
  {
    old: file("old", "What others have: a module, or an exported contract"),
    now: file("new", "What is to be published: the same"),
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../contract/contract.ts")),
      ({ compare }) => compare(options)
    )
).pipe(
  Command.withDescription(
    "Say what changed from one contract to another, and whom it breaks. Exits with 0 when nobody is broken, with 1 when somebody is, with 2 when a file cannot be read."
  ),
  Command.withShortDescription("Say what changed, and whom it breaks"),
  Command.withExamples([{ command: "troupe contract diff contract/contract.json contract/src/contract.ts" }])
)

export const contract = Command.make("contract").pipe(
  Command.withDescription("Export contracts, and compare them before they are published."),
  Command.withShortDescription("Contracts: export, diff"),
  Command.withSubcommands([exportCommand, diff])
)
