export * as Discovery from "./Discovery.ts"
export { defaultExport, isService, load, loadAll, type Loaded, shown } from "./load.ts"
