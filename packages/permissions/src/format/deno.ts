import type { Policy } from "../Policy.ts"

/**
 * A shell script that runs a host of a service on Deno with the least flags: it connects to NATS_ADDRESS and
 * DATABASE_ADDRESS (host:port), and to EDGE_ADDRESS where an edge runs its handlers; it listens on port TROUPE_HTTP_PORT of
 * loopback, and writes and starts nothing. The whole environment may be read: the exporter of traces lists it.
 */
export const deno = ({ edge, name }: Policy): string => {
  const addresses = ["NATS_ADDRESS", "DATABASE_ADDRESS", ...(edge ? ["EDGE_ADDRESS"] : [])]
  const net = [...addresses.map((address) => `\${${address}:?}`), "127.0.0.1:${TROUPE_HTTP_PORT:-4100}"]
  return [
    "#!/bin/sh",
    `# What a host of ${name} may do on Deno. ${addresses.join(" and ")}: host:port. Arguments: those of deno run.`,
    "exec deno run --no-prompt --no-remote \\",
    `  --allow-net="${net}" \\`,
    '  --allow-read=. --allow-env --allow-sys=hostname,uid "$@"',
    ""
  ].join("\n")
}
