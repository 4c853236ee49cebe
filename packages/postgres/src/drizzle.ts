import { createRequire } from "node:module"
import type * as Drizzle from "drizzle-orm"
import type * as PgCore from "drizzle-orm/pg-core"
import type * as Session from "drizzle-orm/postgres-js/session"

// Drizzle as CommonJS. Node.js 26 parses the 179 kB of its package.json anew for each of its hundreds of ES modules: 190 MB
// of memory and a third of a second for every process. Values of both forms know each other by name (its `entityKind`), so
// that handlers import it as they like.
const require = createRequire(import.meta.url)

export const { sql } = require("drizzle-orm") as typeof Drizzle
export const { PgDatabase, PgDialect } = require("drizzle-orm/pg-core") as typeof PgCore
export const { PostgresJsSession } = require("drizzle-orm/postgres-js/session") as typeof Session
