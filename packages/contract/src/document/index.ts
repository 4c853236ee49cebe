export * as AsyncApi from "./AsyncApi.ts"
export * as Compatibility from "./Compatibility.ts"
export * as Document from "./Document.ts"
export * as OpenApi from "./OpenApi.ts"
