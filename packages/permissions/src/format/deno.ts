import type { Policy } from "../Policy.ts"

/**
 * A shell script that runs a host of a service on Deno with the least flags: it connects to NATS_ADDRESS and
 * DATABASE_ADDRESS (host:port) and to what `allow.net` lists, listens on port TROUPE_HTTP_PORT of loopback, reads the working
 * directory and the file NATS_CREDS, and writes and starts nothing. The whole environment may be read: the exporter of traces lists it.
 */
export const deno = ({ name, net }: Policy): string =>
  [
    "#!/bin/sh",
    `# What a host of ${name} may do on Deno. NATS_ADDRESS and DATABASE_ADDRESS: host:port. Arguments: those of deno run.`,
    "exec deno run --no-prompt --no-remote \\",
    `  --allow-net="${[...connects, ...net].join(",")}" \\`,
    '  --allow-read=".${NATS_CREDS:+,$NATS_CREDS}" --allow-env --allow-sys=hostname,uid "$@"',
    ""
  ].join("\n")

const connects = ["${NATS_ADDRESS:?}", "${DATABASE_ADDRESS:?}", "127.0.0.1:${TROUPE_HTTP_PORT:-4100}"]
