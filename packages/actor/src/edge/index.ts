export * as Edge from "./Edge.ts"
