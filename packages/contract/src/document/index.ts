export * as Compatibility from "./Compatibility.ts"
export * as Document from "./Document.ts"
