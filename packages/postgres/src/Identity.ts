import type postgres from "postgres"

/** Which database this is, and whose. */
export interface Identity {
  /** Drawn when the database was made; a copy has the same. */
  readonly id: string
  /** None until a host of the service has started. */
  readonly service: string | undefined
  /** Made by `troupe dev`. */
  readonly development: boolean
}

/** What the database says of itself; `undefined` where it is not migrated. */
export const read = async (sql: postgres.Sql): Promise<Identity | undefined> => {
  const [there] = await sql`select to_regclass('troupe.identity') is not null as yes`
  if (there?.["yes"] !== true) return undefined
  return identity(await sql`select id, service, development from troupe.identity`)
}

/** Names the service of a database that has none, and answers what the database says then: of two that start at once one wins. */
export const claim = async (sql: postgres.Sql, service: string): Promise<Identity | undefined> => {
  await sql`update troupe.identity set service = ${service} where service is null`
  return identity(await sql`select id, service, development from troupe.identity`)
}

/** Gives the database to a service, whatever it was before. */
export const give = async (sql: postgres.Sql, service: string): Promise<Identity | undefined> =>
  identity(await sql`update troupe.identity set service = ${service} returning id, service, development`)

/** `troupe dev` made this database; not one that a service has run on already. */
export const develop = async (sql: postgres.Sql): Promise<void> => {
  await sql`update troupe.identity set development = true where service is null`
}

const identity = (rows: ReadonlyArray<postgres.Row>): Identity | undefined => {
  const [row] = rows
  if (row === undefined) return undefined
  return { id: row["id"], service: row["service"] ?? undefined, development: row["development"] }
}
