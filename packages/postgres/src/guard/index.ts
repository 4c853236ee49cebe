export * as Memory from "./Memory.ts"
export * as Thread from "./Thread.ts"
export type { Bounds } from "./Watch.ts"
