export type { Health } from "./Health.ts"
export { Host, type HostError, type Options as HostOptions } from "./Host.ts"
export * as Service from "./Service.ts"
export * as Tracing from "./Tracing.ts"
