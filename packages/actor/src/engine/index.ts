// For Troupe's own packages only: what runs actors and subscribers. No promise of stability.
export { Agendas } from "./Agenda.ts"
export { Committer } from "./Committer.ts"
export * as Consumer from "./Consumer.ts"
export * as Deadlines from "./Deadlines.ts"
export { Loader } from "./Loader.ts"
export * as Partition from "./Partition.ts"
export type { Policy as ParkingPolicy } from "./Parking.ts"
export * as Tracing from "./Tracing.ts"
