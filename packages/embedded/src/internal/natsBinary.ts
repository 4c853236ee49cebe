import { accessSync, constants, existsSync, readdirSync } from "node:fs"
import { delimiter, join } from "node:path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as EmbeddedError from "../EmbeddedError.ts"
import * as Command from "./command.ts"
import * as Folder from "./folder.ts"
import * as NatsDebian from "./natsDebian.ts"
import * as NatsRelease from "./natsRelease.ts"

type Version = readonly [major: number, minor: number, patch: number]

// Stream subject transforms by partition came with 2.11.
const minimum: Version = [2, 11, 0]

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]

const parse = (text: string): Version | undefined => {
  const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(text)
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])]
}

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const versionOf = (file: string): Effect.Effect<Version | undefined> =>
  Effect.suspend(() =>
    isExecutable(file)
      ? Effect.map(Command.run(file, ["--version"], { timeout: 10_000 }), ({ ok, stdout }) =>
          ok ? parse(stdout) : undefined
        )
      : Effect.as(Effect.void, undefined)
  )

const named = Effect.fnUntraced(function* (file: string): Effect.fn.Return<string, EmbeddedError.EmbeddedError> {
  const version = yield* versionOf(file)
  if (version === undefined) {
    return yield* EmbeddedError.make("natsMissing", {
      happened: "no nats-server to be had",
      to: `from NATS_SERVER=${file}`,
      why: "that is no nats-server that can be run",
      todo: "let NATS_SERVER name a nats-server of 2.11 or newer, or unset it to have one fetched"
    })
  }
  if (compare(version, minimum) < 0) {
    return yield* EmbeddedError.make("natsTooOld", {
      happened: "nats-server is too old",
      to: `NATS_SERVER=${file}`,
      why: `it is ${version.join(".")}; partitions need the subject transforms of 2.11`,
      todo: "let NATS_SERVER name a nats-server of 2.11 or newer, or unset it to have one fetched"
    })
  }
  return file
})

// The newest of some files, or nothing when all are older than the minimum.
const newest = Effect.fnUntraced(function* (files: ReadonlyArray<string>): Effect.fn.Return<string | undefined> {
  let best: { readonly file: string; readonly version: Version } | undefined
  for (const file of files) {
    const version = yield* versionOf(file)
    if (version !== undefined && compare(version, best?.version ?? minimum) >= 0) best = { file, version }
  }
  return best?.file
})

const shelf = (): string => join(Folder.cache(), "nats-server")

const onPath = Effect.suspend(() =>
  newest(
    (process.env.PATH ?? "")
      .split(delimiter)
      .filter((folder) => folder !== "")
      .map((folder) => join(folder, "nats-server"))
  )
)

const cached = Effect.suspend(() =>
  newest(existsSync(shelf()) ? readdirSync(shelf()).map((name) => join(shelf(), name, "nats-server")) : [])
)

const fetched = Effect.gen(function* () {
  const refusals: Array<string> = []
  for (const source of [NatsRelease.source, NatsDebian.source]) {
    const place = join(shelf(), source.name)
    const got = yield* Effect.result(
      Folder.placed(place, (fresh) => Effect.mapError(source.fetch(fresh), (why) => `${source.title}: ${why}`))
    )
    if (got._tag === "Failure") refusals.push(typeof got.failure === "string" ? got.failure : got.failure.message)
    else {
      const file = yield* newest([join(place, "nats-server")])
      if (file !== undefined) return file
      refusals.push(`${source.title}: it gave none of 2.11 or newer that runs here`)
    }
  }
  return yield* EmbeddedError.make("natsMissing", {
    happened: "no nats-server to be had",
    to: `for ${process.platform}-${process.arch}`,
    why: `NATS_SERVER is not set, PATH and ${shelf()} have none of 2.11 or newer; ${refusals.join("; ")}`,
    todo: "install nats-server 2.11 or newer and let NATS_SERVER name it, or set NATS_URL to a running server"
  })
})

/** NATS_SERVER, else PATH, else the cache, else fetched into the cache. */
export const find: Effect.Effect<string, EmbeddedError.EmbeddedError> = Effect.gen(function* () {
  const variable = yield* Effect.orDie(Config.String("NATS_SERVER").pipe(Config.option))
  if (Option.isSome(variable)) return yield* named(variable.value)
  return (yield* onPath) ?? (yield* cached) ?? (yield* fetched)
})
