export { Db, DbError, type Handle, Transaction } from "./Db.ts"
export * as DeadLetters from "./DeadLetters.ts"
export * as Migrations from "./Migrations.ts"
export { PostgresError, Sql } from "./Sql.ts"
