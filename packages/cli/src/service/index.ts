export * as Discovery from "./Discovery.ts"
export {
  defaultExport,
  isService,
  load,
  loadAll,
  type Loaded,
  type LoadedGateway,
  type Programs,
  shown
} from "./load.ts"
