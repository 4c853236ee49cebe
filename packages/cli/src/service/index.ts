export * as Discovery from "./Discovery.ts"
export { load, loadAll, type Loaded } from "./load.ts"
