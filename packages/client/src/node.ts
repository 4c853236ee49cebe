/** The client over TCP: Node, Deno and Bun. It has everything that `@troupe/client` has, with another transport. */
import { connect as tcp } from "@nats-io/transport-node"
import { layer as overDial } from "./Client.ts"
import { type Connection, make } from "./Connection.ts"
import type { ConnectOptions } from "./internal/Link.ts"

export * from "./sdk.ts"

/** A client for Effect code, over TCP: `servers` are `nats://` or `tls://`. Fails when no server answers in time. */
export const layer = overDial(tcp as Parameters<typeof overDial>[0])

/** Connects over TCP, for code without Effect. Rejects with `ClientError` when no server answers in time. */
export const connect = (options: ConnectOptions): Promise<Connection> => make(layer(options))
