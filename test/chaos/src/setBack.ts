import { chown, copyFile, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { nuid } from "@nats-io/nats-core"
import * as Effect from "effect/Effect"
import postgres from "postgres"
import { NotFired, query, streams, wait } from "./aim.ts"
import { commits } from "./ownership.ts"
import * as Processes from "./processes.ts"
import type { World } from "./world.ts"

/** Sets NATS back to the files that it had some time ago. */
export const broker = (world: World, ms: number): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const { nats } = world
    const folder = join(world.dir, `store-${nuid.next()}`)
    const down = (files: () => void) => Effect.andThen(nats.kill, Effect.andThen(Effect.sync(files), nats.start))
    const copied = yield* world.alone.nats.withPermit(
      Effect.andThen(
        down(() => nats.copy(folder)),
        lastOf(world)
      )
    )
    yield* Effect.sleep(ms)
    return yield* world.alone.nats.withPermit(
      Effect.gen(function* () {
        // Somewhat newer than the copy, or there is nothing to lose.
        const before = yield* wait(
          "newer message in both streams",
          Effect.map(lastOf(world), (last) =>
            last.every(({ seq }, i) => seq > copied[i]!.seq + 10) ? last : undefined
          )
        )
        yield* down(() => nats.putBack(folder))
        const lost = yield* Effect.forEach(before, ({ id, seq }, i) =>
          query(async () => ((await at(world, streams[i]!, seq))?.header.get("ce-id") !== id ? 1 : 0))
        )
        return lost.every((one) => one === 1)
          ? before.map(({ seq }, i) => `${streams[i]} from ${seq} back to about ${copied[i]!.seq}`).join(", ")
          : yield* new NotFired({ why: "the messages are still there" })
      })
    )
  }).pipe(world.alone.past.withPermit)

export const at = (world: World, stream: string, seq: number) => world.jsm.streams.getMessage(stream, { seq })

/** The last sequence of both streams, and which message is there. */
const lastOf = (world: World) =>
  query(() =>
    Promise.all(
      streams.map(async (stream) => {
        const seq = (await world.jsm.streams.info(stream)).state.last_seq
        return { seq, id: (await at(world, stream, seq))?.header.get("ce-id") }
      })
    )
  )

/**
 * Sets Postgres back to the files that it had some time ago, as an asynchronous failover or a restored copy does. Not
 * while NATS is set back as well: what both lose at once is lost, and nothing promises otherwise.
 */
export const database = (world: World, ms: number): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const { alone, sql } = world
    const { dataDir, restart, url } = world.postgres
    const copy = join(dirname(dataDir), `copy-${nuid.next()}`)
    const { copied, from } = yield* alone.postgres.withPermit(
      Effect.gen(function* () {
        const from = Date.now()
        yield* Effect.tryPromise(() => backUp(url, dataDir, copy))
        return { from, copied: yield* commits(world) }
      })
    )
    yield* Effect.sleep(ms)
    return yield* alone.postgres.withPermit(
      Effect.gen(function* () {
        const before = yield* wait(
          "newer commits",
          Effect.map(commits(world), (now) => (now > copied + 10 ? now : undefined))
        )
        const witness = nuid.next()
        yield* query(() => sql`insert into app.witness values (${witness})`)
        yield* killed(world)
        yield* Effect.promise(async () => {
          const old = `${copy}-old`
          await rename(dataDir, old)
          await rename(copy, dataDir)
          await rm(old, { recursive: true })
        })
        yield* restart
        const to = Date.now()
        world.lost.push({ from, to })
        const still = yield* query(() => sql`select 1 from app.witness where id = ${witness}`)
        return still.length === 0
          ? `commits of ${((to - from) / 1_000).toFixed(1)} s are lost: from ${before} back to about ${copied}`
          : yield* new NotFired({ why: "what was committed last is still there" })
      })
    )
  }).pipe(world.alone.past.withPermit)

/** Kills Postgres and waits until all its processes are gone; how many they were. */
export const killed = ({ postgres }: World): Effect.Effect<number> =>
  Effect.gen(function* () {
    const { pid } = postgres
    const children = Processes.all().flatMap((one) => (one.parent === pid ? [one.pid] : []))
    yield* postgres.kill("SIGKILL")
    return yield* Processes.gone([pid, ...children])
  })

/** Not part of a copy: they are of the running server, or are copied when the rest is. */
const left = new Set(["postmaster.pid", "postmaster.opts", "pg_wal", "pg_replslot"])

/**
 * Copies the files of a running Postgres, by the low-level procedure of its manual ("Continuous Archiving", "Making a Base
 * Backup Using the Low Level API"). The log comes last, so the copy goes as far as its own end.
 */
const backUp = async (url: string, dataDir: string, copy: string): Promise<void> => {
  // The backup is over when its connection ends: one that nobody else uses.
  const sql = postgres(url, { max: 1, idle_timeout: 0, max_lifetime: null, onnotice: () => {} })
  try {
    await sql`select pg_backup_start('chaos', true)`
    await copyFolder(dataDir, copy, left)
    const [stopped] = await sql<[{ labelfile: string }]>`select labelfile from pg_backup_stop(false)`
    await copyFolder(join(dataDir, "pg_wal"), join(copy, "pg_wal"), new Set())
    const { gid, uid } = await stat(dataDir)
    await mkdir(join(copy, "pg_replslot"), { mode: 0o700 })
    await chown(join(copy, "pg_replslot"), uid, gid)
    await writeFile(join(copy, "backup_label"), stopped.labelfile)
    await chown(join(copy, "backup_label"), uid, gid)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** With modes and owners. What vanishes meanwhile is left out: the log has it. */
const copyFolder = async (from: string, to: string, except: ReadonlySet<string>): Promise<void> => {
  const { gid, mode, uid } = await stat(from)
  await mkdir(to, { mode: mode & 0o777 })
  await chown(to, uid, gid)
  const entries = (await readdir(from, { withFileTypes: true })).filter(({ name }) => !except.has(name))
  // Not one after the other: the older the copy is when it is done, the less of the time is lost that was drawn.
  await Promise.all(
    entries.map(async (entry) => {
      const [source, target] = [join(from, entry.name), join(to, entry.name)]
      if (entry.isDirectory()) return await copyFolder(source, target, new Set())
      try {
        await copyFile(source, target)
        await chown(target, uid, gid)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause
      }
    })
  )
}
