/**
 * @since 0.1.0
 */
export * as EmbeddedError from "./EmbeddedError.ts"

/**
 * @since 0.1.0
 */
export * as NatsServer from "./NatsServer.ts"

/**
 * @since 0.1.0
 */
export * as Postgres from "./Postgres.ts"
