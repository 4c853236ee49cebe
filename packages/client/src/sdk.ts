// What both entries have, whatever carries it.
export {
  after,
  type AfterOptions,
  ask,
  type AskOptions,
  askWithToken,
  Client,
  type EventRefs,
  type Heard,
  send,
  subscribe,
  type SubscriberName,
  type WithToken
} from "./Client.ts"
export * from "./ClientError.ts"
export type { Answered, Connection } from "./Connection.ts"
export type { ConnectOptions } from "./internal/Link.ts"
export type { Placed, SubscribeOptions } from "./internal/listen.ts"
