export type { Health } from "./Health.ts"
export { Host, type HostError, type Options as HostOptions } from "./Host.ts"
// For Troupe's own packages only. No promise of stability.
export * as Face from "./Face.ts"
export * as Starting from "./Starting.ts"
export * as Service from "./Service.ts"
export * as Tracing from "./Tracing.ts"
