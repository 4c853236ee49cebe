import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { Migrations } from "@troupe/postgres"
import { Host, type Service } from "@troupe/service"
import { connected, until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Box } from "./contract.ts"

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const read = (name: string): string => readFileSync(path(name), "utf8")
const guide = read("../edge.md")

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resolve(port))
    })
  })

it("the guide shows the files as they are", () => {
  for (const file of ["show.ts", "edge.ts", "service.ts"]) assert.include(guide, `\`\`\`ts\n${read(file)}\`\`\``)
})

it.live(
  "what the guide shows answers a caller, from Deno, started as the guide says",
  () =>
    Effect.gen(function* () {
      const command = /^EDGE_SECRET=(\S+) deno (serve .*)$/m.exec(guide)!
      const [, secret, said] = command as unknown as readonly [string, string, string]
      // The guide's own port may be taken on a machine where much is tested.
      const port = yield* Effect.promise(freePort)
      const args = said.replace("--port 8123", `--port ${port}`)
      const url = `http://127.0.0.1:${port}/`
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(path("node_modules/.bin/deno"), args.split(" "), {
            cwd: path("../.."),
            env: { ...process.env, EDGE_SECRET: secret },
            stdio: ["ignore", "ignore", "inherit"],
            // The program is a child of npm's: both end with their group.
            detached: true
          })
        ),
        (edge) => Effect.sync(() => void process.kill(-edge.pid!, "SIGKILL"))
      )
      yield* until(
        () => fetch(url).then(({ status }) => status, String),
        (status) => status === 405
      )
      Object.assign(process.env, { EDGE_URL: url, EDGE_SECRET: secret })
      const { default: service } = (yield* Effect.promise(() => import("./service.ts"))) as { default: Service.Service }

      const database = `box_${process.pid}`
      const admin = yield* connected(process.env["DATABASE_URL"]!)
      yield* Effect.acquireRelease(
        Effect.promise(() => admin.unsafe(`create database ${database}`)),
        () => Effect.promise(() => admin.unsafe(`drop database ${database} with (force)`))
      )
      const databaseUrl = Redacted.make(
        Object.assign(new URL(process.env["DATABASE_URL"]!), { pathname: `/${database}` }).href
      )
      yield* Migrations.run({ url: databaseUrl })
      // On a server that stays, the streams of an earlier run are of this database too.
      const sql = yield* connected(Redacted.value(databaseUrl))
      yield* Effect.promise(() => sql`update troupe.identity set id = '00000000-0000-4000-8000-000000000000'`)
      const natsUrl = process.env["NATS_URL"]!
      const host = Host.layer(service, {
        natsUrl: Redacted.make(natsUrl),
        databaseUrl,
        http: { host: "127.0.0.1", port: 0 }
      })
      yield* Effect.gen(function* () {
        const show = Box.Show.at(`show ${process.pid}`)
        assert.strictEqual(yield* ask(show.reserve({ seats: 98 }), { timeout: "50 seconds" }), 2)
        const refused = yield* Effect.flip(ask(show.reserve({ seats: 3 })))
        assert.deepInclude(refused, { _tag: "SoldOut", left: 2 })
      }).pipe(Effect.provide(Layer.merge(host, client({ servers: natsUrl }))))
    }).pipe(Effect.scoped),
  60_000
)
