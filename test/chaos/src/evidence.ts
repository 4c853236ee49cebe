import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { logOf, type World } from "./world.ts"

/** Bytes of one log that are kept: its beginning and its end. */
const head = 1024 ** 2
const tail = 4 * 1024 ** 2

/** Copies what hosts and servers said, and what happened in the run, to a folder that stays; answers the folder. */
export const keep = (world: World, lines: ReadonlyArray<string>): string => {
  const kept = mkdtempSync(join(tmpdir(), "troupe-chaos-logs-"))
  for (const slot of world.slots) excerpt(logOf(world, slot), join(kept, `host-${slot.nth}.log`))
  for (const [i, { log }] of world.nats.servers.entries()) excerpt(log, join(kept, `nats-${i}.log`))
  excerpt(world.postgres.log, join(kept, "postgres.log"))
  writeFileSync(join(kept, "run.txt"), `${lines.join("\n")}\n`)
  return kept
}

/** Copies the first and the last bytes of a file. */
const excerpt = (from: string, to: string): void => {
  if (!existsSync(from)) return
  const file = openSync(from, "r")
  try {
    const { size } = fstatSync(file)
    const read = (start: number, length: number): Buffer => {
      const buffer = Buffer.alloc(length)
      return buffer.subarray(0, readSync(file, buffer, 0, length, start))
    }
    const whole = size <= head + tail
    const parts = whole
      ? [read(0, size)]
      : [read(0, head), Buffer.from(`\n... ${size - head - tail} bytes are left out ...\n`), read(size - tail, tail)]
    writeFileSync(to, Buffer.concat(parts))
  } finally {
    closeSync(file)
  }
}
