// For Troupe's own packages only: the statements under the turn, the relay and the outbox. No promise of stability.
export * as Commit from "./Commit.ts"
export * as Connection from "./Connection.ts"
export * as Lease from "./Lease.ts"
export * as Ownership from "./Ownership.ts"
export { passes, sqlState } from "./Db.ts"
export { describe, failure, redactedUrl } from "./Sql.ts"
export * as Waiting from "./Waiting.ts"
export * as Wishes from "./Wishes.ts"
