import { connect, createServer, type AddressInfo, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a TCP link between a host and a server does to its bytes. */
export interface Link {
  readonly port: number
  /** Ends all connections and refuses new ones until `mend`; how many it ended. */
  cut(): number
  /** Passes nothing on, in either direction, until `mend`: nobody is told. */
  silence(): void
  /** Passes nothing on any more of the connections that are there: nobody is told, and new ones work. How many there are. */
  strand(): number
  /** Passes each chunk on `delay` ms late, in either direction. */
  slow(delay: number): void
  mend(): void
  /** Connections that are there. */
  readonly connections: () => number
  /** Chunks that were held back or delayed so far. */
  readonly hindered: () => number
  /** Connections that were refused so far. */
  readonly refused: () => number
}

/** Listens on a free port and passes on to another port of this machine. */
export const make = (target: number): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly link: Link; readonly close: () => void }>((resume) => {
      const pairs = new Set<readonly [Socket, Socket]>()
      let isCut = false
      let delay = 0
      let silent: PromiseWithResolvers<void> | undefined
      let hindered = 0
      let refused = 0
      let stranded = new Set<Socket>()

      /** Resolves when the next thing may pass; undefined is at once. */
      const gate = (from: Socket): Promise<void> | undefined => {
        if (stranded.has(from)) return new Promise(() => {})
        if (silent !== undefined) return silent.promise
        return delay === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, delay))
      }
      /** Order stays: while a chunk waits, its socket is not read. */
      const forward = (from: Socket, to: Socket): void => {
        const pass = (chunk: Buffer) => {
          if (to.write(chunk)) from.resume()
          else to.once("drain", () => from.resume())
        }
        from.on("data", (chunk: Buffer) => {
          from.pause()
          const wait = gate(from)
          if (wait === undefined) return pass(chunk)
          hindered++
          void wait.then(() => pass(chunk))
        })
        from.on("error", () => {})
        from.on("close", () => {
          if (stranded.has(from)) return
          const wait = silent?.promise
          if (wait === undefined) to.destroy()
          else void wait.then(() => to.destroy())
        })
      }
      const server = createServer((from) => {
        if (isCut) {
          refused++
          from.on("error", () => {}).resetAndDestroy()
          return
        }
        const to = connect(target, "127.0.0.1")
        const pair = [from.setNoDelay(), to.setNoDelay()] as const
        pairs.add(pair)
        from.on("close", () => {
          if (!stranded.has(from)) pairs.delete(pair)
        })
        forward(from, to)
        forward(to, from)
      })
      const end = (): number => {
        const ended = pairs.size
        for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy()
        return ended
      }
      const mend = (): void => {
        isCut = false
        delay = 0
        silent?.resolve()
        silent = undefined
      }
      server.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            link: {
              port: (server.address() as AddressInfo).port,
              cut: () => {
                isCut = true
                return end()
              },
              silence: () => void (silent ??= Promise.withResolvers()),
              strand: () => {
                stranded = new Set([...pairs].flat())
                return pairs.size
              },
              slow: (ms) => void (delay = ms),
              mend,
              connections: () => pairs.size,
              hindered: () => hindered,
              refused: () => refused
            },
            close: () => {
              server.close()
              mend()
              end()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ link }) => link))

/** Links to the servers of one cluster, which are struck together. Its port is that of the first. */
export const join = (links: readonly [Link, ...Array<Link>]): Link => {
  const each = (strike: (link: Link) => void) => () => links.forEach(strike)
  const sum = (count: (link: Link) => number) => () => links.reduce((sum, link) => sum + count(link), 0)
  return {
    port: links[0].port,
    cut: sum((link) => link.cut()),
    silence: each((link) => link.silence()),
    strand: sum((link) => link.strand()),
    slow: (delay) => links.forEach((link) => link.slow(delay)),
    mend: each((link) => link.mend()),
    connections: sum((link) => link.connections()),
    hindered: sum((link) => link.hindered()),
    refused: sum((link) => link.refused())
  }
}
