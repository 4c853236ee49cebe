import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync, statSync } from "node:fs"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { database } from "./database.ts"
import { type Running, start, troupe } from "./troupe.ts"

interface Up {
  readonly name: string
  readonly url: string
  readonly pid: number
}

const status = (url: string) =>
  Effect.promise(() =>
    fetch(url).then(
      (answer) => answer.status,
      () => 0
    )
  )
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const until = (what: () => boolean) =>
  Effect.repeat(Effect.sync(what), { until: (yes: boolean) => yes, schedule: Schedule.spaced("50 millis") })
const restarted = /cli-alpha ended \(SIGKILL\), starting it again in 100 ms\n[^]*cli-alpha is ready again after/

/** `troupe dev` over a database of its own, ready. */
const dev = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { url } = yield* database
    const running = yield* start(["dev", "--json", ...args], { DATABASE_URL: Redacted.value(url) })
    const { services } = JSON.parse(yield* running.line) as { readonly services: ReadonlyArray<Up> }
    return { running, services }
  })
const stop = ({ ended, process }: Running, signal: NodeJS.Signals) => {
  process.kill(signal)
  return ended
}

describe("troupe run", () => {
  it.live("says one line when it is ready, answers, and exits with 0 at SIGTERM", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      // Of its own: streams that a service marked outside of dev are not for dev.
      const nats = yield* NatsServer.start()
      const env = { DATABASE_URL: Redacted.value(url), NATS_URL: nats.url }
      yield* troupe(["migrate", "services/alpha/src/main.ts"], env)
      const running = yield* start(["run", "services/alpha/src/main.ts", "--http-port", "0", "--json"], env)
      const ready = JSON.parse(yield* running.line)
      assert.deepInclude(ready, { service: "cli-alpha", pid: running.process.pid })
      assert.strictEqual(yield* status(`${ready.url}/livez`), 200)
      const { code, out } = yield* stop(running, "SIGTERM")
      assert.strictEqual(code, 0)
      assert.strictEqual(out.trim().split("\n").length, 1)
    })
  )
})

describe("troupe run of a gateway", () => {
  it.live("serves it, and exits with 0 at SIGTERM", () =>
    Effect.gen(function* () {
      const env = { DATABASE_URL: undefined, TROUPE_JWT_SECRET: "a secret that has thirty-two bytes" }
      const running = yield* start(["run", "front.ts", "--http-port", "0", "--json"], env)
      const ready = JSON.parse(yield* running.line)
      assert.deepInclude(ready, { service: "cli-front", pid: running.process.pid })
      for (const path of ["livez", "readyz", "openapi.json"])
        assert.strictEqual(yield* status(`${ready.url}/${path}`), 200)
      assert.strictEqual(yield* status(`${ready.url}/metrics`), 401)
      assert.strictEqual((yield* stop(running, "SIGTERM")).code, 0)
    })
  )

  it.live("says one line and does not start when nobody, or everybody from elsewhere, could use it", () =>
    Effect.gen(function* () {
      for (const [env, args, why] of [
        [{}, [], "nothing says whose tokens it takes"],
        [{ TROUPE_JWT_SECRET: "short" }, [], "a secret has 32 bytes or more"],
        [{ TROUPE_AUTH: "none" }, ["--http-host", "0.0.0.0"], "without tokens it listens on loopback only"]
      ] as const) {
        const { code, err, out } = yield* troupe(["run", "front.ts", "--http-port", "0", ...args], env)
        assert.match(err, new RegExp(`^TRP0711 [^\\n]* · ${why}[^\\n]*\n$`))
        assert.deepStrictEqual([code, out], [1, ""])
      }
    })
  )
})

describe("troupe dev", () => {
  it.live("starts every service, says where they answer, and stops them all at Ctrl-C", () =>
    Effect.gen(function* () {
      const { running, services } = yield* dev()
      assert.deepStrictEqual(
        services.map(({ name }) => name),
        ["cli-alpha", "cli-beta"]
      )
      for (const { url } of services) {
        for (const path of ["readyz", "livez"]) assert.strictEqual(yield* status(`${url}/${path}`), 200)
      }
      const { code } = yield* stop(running, "SIGINT")
      assert.strictEqual(code, 0)
      for (const { pid } of services) assert.isFalse(isAlive(pid))
    })
  )

  it.live("starts a service again that was killed, at the same place", () =>
    Effect.gen(function* () {
      const { running, services } = yield* dev()
      const [alpha] = services
      process.kill(alpha!.pid, "SIGKILL")
      yield* until(() => restarted.test(running.err()))
      assert.strictEqual(yield* status(`${alpha!.url}/readyz`), 200)
      assert.strictEqual((yield* stop(running, "SIGHUP")).code, 0)
    })
  )

  it.live("leaves nothing behind, even when it is killed itself", () =>
    Effect.gen(function* () {
      const { running, services } = yield* dev()
      yield* stop(running, "SIGKILL")
      yield* until(() => services.every(({ pid }) => !isAlive(pid)))
    })
  )

  it.live("runs a program against the services and ends with its exit code", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const env = { DATABASE_URL: Redacted.value(url), EXIT_CODE: "7" }
      const { code, out } = yield* troupe(["dev", "--then", "program.ts", "--once", "--json"], env)
      assert.deepStrictEqual(JSON.parse(out), {
        args: ["--json"],
        names: ["CLI_ALPHA_DATABASE_URL", "CLI_BETA_DATABASE_URL", "NATS_URL"]
      })
      assert.strictEqual(code, 7)
    })
  )

  it.live("shows a banner of 14 lines at most, and no password anywhere", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const { code, err, out } = yield* troupe(["dev", "--once"], { DATABASE_URL: Redacted.value(url) })
      assert.strictEqual(code, 0)
      assert.isAtMost(out.trimEnd().split("\n").length, 14)
      assert.match(out, /^troupe dev · 2 services are ready\n/)
      assert.match(out, /curl http:\/\/127\.0\.0\.1:\d+\/readyz/)
      const { password } = new URL(Redacted.value(url))
      if (password !== "") assert.notInclude(out + err, password)
    })
  )

  it.live("shows in no output or list of processes the password of a PostgreSQL that it started", () =>
    Effect.gen(function* () {
      const running = yield* start(["dev"], { DATABASE_URL: undefined })
      yield* until(() => running.out().includes("stop "))
      const [, file = ""] =
        /dead +DATABASE_URL="\$\(cat '(.*)'\)" .*dead list --service cli-alpha\n/.exec(running.out()) ?? []
      assert.strictEqual(statSync(file).mode & 0o077, 0)
      const { password, port } = new URL(readFileSync(file, "utf8"))
      assert.isNotEmpty(password)
      const args = execFileSync("ps", ["-eo", "args"], { encoding: "utf8", maxBuffer: 2 ** 24 })
      assert.include(args, port, "the server is in the list")
      assert.notInclude(args, password)
      const list = yield* troupe(["dead", "list", "--service", "cli-alpha"], {
        DATABASE_URL: readFileSync(file, "utf8")
      })
      assert.strictEqual(list.out, "no dead letters\n")
      const { err, out } = yield* stop(running, "SIGTERM")
      assert.notInclude(out + err, password)
      assert.isFalse(existsSync(file))
    }).pipe(Effect.scoped)
  )

  it.live("runs a gateway beside the services, for programs of this machine, and shows a curl that works", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const files = ["services/alpha/src/main.ts", "front.ts"]
      const running = yield* start(["dev", ...files], { DATABASE_URL: Redacted.value(url) })
      yield* until(() => /stop/.test(running.out()))
      const [, front = ""] = /cli-front +(http:\S+)\/\n/.exec(running.out()) ?? []
      assert.include(running.out(), `try     curl --json '{}' ${front}/v1/cli-shop/Shelf/a/take\n`)
      // Its service is not there: it was let in, and says so.
      const answer = yield* Effect.promise(() =>
        fetch(`${front}/v1/cli-shop/Shelf/a/take`, { method: "POST", headers: { prefer: "wait=1" } })
      )
      assert.strictEqual(answer.status, 503)
      assert.strictEqual((yield* stop(running, "SIGINT")).code, 0)
    })
  )

  it.live("says one line, soon, and starts nothing when a server that is named refuses", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      for (const [env, line] of [
        [{ NATS_URL: "nats://127.0.0.1:2", DATABASE_URL: undefined }, /^TRP0401 [^\n]*127\.0\.0\.1:2 [^\n]*\n$/],
        [{ NATS_URL: "not a url", DATABASE_URL: undefined }, /^TRP0401 [^\n]*\n$/],
        [{ NATS_URL: undefined, DATABASE_URL: "postgres://me:secret@127.0.0.1:2/d" }, /^TRP0501 [^\n]*\n$/],
        [{ DATABASE_URL: Redacted.value(url).replace(/\/\/[^@]*@/, "//nobody:wrong@") }, /^TRP0501 [^\n]*\n$/]
      ] as const) {
        const began = performance.now()
        const { code, err, out } = yield* troupe(["dev", "--once", "--json"], env)
        assert.isBelow(performance.now() - began, 10_000)
        assert.match(err, line)
        assert.notInclude(err, "secret")
        assert.deepStrictEqual([code, out], [1, ""])
      }
    })
  )

  it.live("waits 5 seconds for a server that says nothing", () =>
    Effect.gen(function* () {
      const silent = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const sockets = new Set<Socket>()
          const server = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1")
          await once(server, "listening")
          return { server, sockets }
        }),
        ({ server, sockets }) =>
          Effect.sync(() => {
            for (const socket of sockets) socket.destroy()
            server.close()
          })
      )
      const { port } = silent.server.address() as AddressInfo
      const began = performance.now()
      for (const name of ["NATS_URL", "DATABASE_URL"]) {
        const url = `${name === "NATS_URL" ? "nats" : "postgres"}://127.0.0.1:${port}`
        const { code, err } = yield* troupe(["dev"], { NATS_URL: undefined, DATABASE_URL: undefined, [name]: url })
        assert.match(err, /^TRP0[45]01 [^\n]* · no answer in 5 seconds · [^\n]*\n$/)
        assert.strictEqual(code, 1)
      }
      assert.isBelow(performance.now() - began, 20_000)
    })
  )

  it.live("ends with what a service says that cannot start, and says it once", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const { code, err, out } = yield* troupe(["dev", "failing.ts"], { DATABASE_URL: Redacted.value(url) })
      assert.match(err, /cli-failing ended \(exit code 1\) before it was ready\n/)
      assert.notInclude(err, "starting it again")
      assert.notInclude(err, "warn")
      assert.match(err.trimEnd().split("\n").at(-1)!, /^TRP0103 .*no second time/)
      assert.strictEqual(err.match(/no second time/g)?.length, 1)
      assert.deepStrictEqual([code, out], [1, ""])
    })
  )

  it.live("passes --log-level on to the services", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const env = { DATABASE_URL: Redacted.value(url) }
      const { code, err } = yield* troupe(["dev", "says.ts", "--once", "--log-level", "debug"], env)
      assert.match(err, /cli-says │ started by: run .* --log-level debug\n/)
      assert.strictEqual(code, 0)
    })
  )

  it.live("says that there is nothing to run", () =>
    Effect.gen(function* () {
      const { url } = yield* database
      const { code, err } = yield* troupe(["dev", "services/none.ts"], { DATABASE_URL: Redacted.value(url) })
      assert.match(err, /^TRP0103 .*none\.ts · there is no such file/)
      assert.strictEqual(code, 1)
    })
  )
})
