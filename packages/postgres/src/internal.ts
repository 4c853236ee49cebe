// For Troupe's own packages only: the statements under the turn, the relay and the outbox. No promise of stability.
export * as Commit from "./Commit.ts"
export * as Ownership from "./Ownership.ts"
export { attempt, over, sqlState } from "./Db.ts"
export { client, describe, failure, redactedUrl } from "./Sql.ts"
