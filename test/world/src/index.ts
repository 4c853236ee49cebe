export { type Ended, type HostProcess, startHost } from "./hostProcess.ts"
export { type Place, unsettled } from "./unsettled.ts"
export { connected, until } from "./looking.ts"
export { starve } from "./starve.ts"
