export * as Discovery from "./Discovery.ts"
export {
  defaultExport,
  isGateway,
  isService,
  load,
  loadAll,
  type Loaded,
  type LoadedGateway,
  type Programs,
  shown
} from "./load.ts"
