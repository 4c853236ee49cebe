import type postgres from "postgres"
import type { Cursors, Fence } from "./Commit.ts"

/** A partition that was taken, as it was left. */
export interface Taken {
  readonly fence: Fence
  readonly epoch: number
  readonly pos: number
  readonly cursors: Cursors
}

/**
 * Registers a consumer by its name and answers its number. `undefined` when it exists with another partition count,
 * which is fixed for good.
 */
export const consumer = async (sql: postgres.Sql, name: string, partitions: number): Promise<number | undefined> => {
  await sql`insert into troupe.consumer (name, partitions) values (${name}, ${partitions}) on conflict (name) do nothing`
  const [row] = await sql`select id, partitions from troupe.consumer where name = ${name}`
  if (Number(row?.["partitions"]) !== partitions) return undefined
  const id = Number(row?.["id"])
  await sql`insert into troupe.partition (consumer, p) select ${id}, generate_series(0, ${partitions}::int - 1) on conflict do nothing`
  return id
}

/** Takes partitions, whoever has them: what an owner before still tries to commit is refused from here on. */
export const take = async (
  sql: postgres.Sql,
  consumer: number,
  partitions: ReadonlyArray<number>,
  host: string
): Promise<ReadonlyArray<Taken>> => {
  const rows =
    await sql`select * from troupe.take_v1(${consumer}, ${partitions as Array<number>}::int[], ${host}::uuid)`
  return rows.map((row) => ({
    fence: { consumer, p: Number(row["p"]), token: row["token"], n: Number(row["n"]) },
    epoch: Number(row["epoch"]),
    pos: Number(row["pos"]),
    cursors: JSON.parse(row["cursors"])
  }))
}
