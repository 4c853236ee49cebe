/**
 * The client over WebSocket: Node, Deno, Bun, Workers and browsers. Over TCP it is `@troupe/client/node`. A process uses
 * one of the two: nats-core reconnects every connection by the transport that was used last.
 */
import { layer as overDial } from "./Client.ts"
import { type Connection, make } from "./Connection.ts"
import type { ConnectOptions } from "./internal/Link.ts"
import { dial } from "./internal/webSocket.ts"

export * from "./sdk.ts"

/** A client for Effect code, over WebSocket: `servers` are `ws://` or `wss://`. Fails when no server answers in time. */
export const layer = overDial(dial)

/** Connects over WebSocket, for code without Effect. Rejects with `ClientError` when no server answers in time. */
export const connect = (options: ConnectOptions): Promise<Connection> => make(layer(options))
