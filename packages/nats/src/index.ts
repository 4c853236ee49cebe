export { type Capabilities, Nats, NatsError } from "./Nats.ts"
export * as Publisher from "./Publisher.ts"
export * as Reader from "./Reader.ts"
export * as Topology from "./Topology.ts"
