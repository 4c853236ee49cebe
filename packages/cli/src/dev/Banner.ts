import type { Message } from "@troupe/contract"
import * as Self from "../Self.ts"

/** What `troupe dev` says when everything answers. */
export interface Banner {
  /** `readyz` and `livez` answer below `url`. */
  readonly services: ReadonlyArray<{ readonly name: string; readonly url: string; readonly pid: number }>
  /** HTTP in front of them, with a command to try. */
  readonly gateways: ReadonlyArray<{
    readonly name: string
    readonly url: string
    readonly example: Message | undefined
  }>
  /** Servers that were started for this run: `nats-server 2.15.1`. */
  readonly started: ReadonlyArray<{ readonly what: string; readonly variable: string }>
  /** The file with the url of a PostgreSQL that was started for this run: the password is in no output. */
  readonly databaseFile?: string | undefined
  /** Whether keys are read. */
  readonly keys: boolean
}

/** The most lines it may have; more services than fit are counted. */
const mostLines = 14

export const lines = ({ databaseFile, gateways, keys, services, started }: Banner): ReadonlyArray<string> => {
  const [first] = services
  const width = Math.max(...[...services, ...gateways].map(({ name }) => name.length))
  const head = `troupe dev · ${services.length === 1 ? "1 service is" : `${services.length} services are`} ready`
  const tail = [
    ...(started.length === 0
      ? []
      : [
          `  started ${started.map(({ what }) => what).join(" and ")}; ` +
            `set ${started.map(({ variable }) => variable).join(" / ")} to use yours`
        ]),
    ...(first === undefined ? [] : [`  try     ${gateways.flatMap(curl)[0] ?? `curl ${first.url}/readyz`}`]),
    ...(first === undefined || databaseFile === undefined
      ? []
      : [`  dead    DATABASE_URL="$(cat '${databaseFile}')" ${Self.typed} dead list --service ${first.name}`]),
    ...(first === undefined
      ? []
      : [
          keys
            ? "  break   press k to kill a service in the middle of a message; it comes back and nothing is lost"
            : `  break   kill -9 ${first.pid}    (${first.name}, in the middle of a message; it comes back and nothing is lost)`
        ]),
    `  stop    ${keys ? "q or Ctrl-C" : "Ctrl-C"}`
  ]
  const fronts = gateways.slice(0, 2).map(({ name, url }) => `  ${name.padEnd(width)}  ${url}/`)
  const room = mostLines - tail.length - fronts.length - 3
  const shown = services.length <= room ? services : services.slice(0, room - 1)
  const more = services.length - shown.length
  return [
    head,
    "",
    ...shown.map(({ name, url }) => `  ${name.padEnd(width)}  ${url}/readyz  ${url}/livez`),
    ...fronts,
    ...(more > 0 ? [`  and ${more} more; --json lists them all`] : []),
    "",
    ...tail
  ]
}

/** The example as a `curl`, of 7.82 or newer, for a POSIX shell. */
const curl = ({ example, url }: Banner["gateways"][number]): ReadonlyArray<string> => {
  if (example === undefined) return []
  const payload = example.target.payload.encode(example.payload)
  const path = example.to.replace(/\.([^.]*)\.([^.]*)$/, `/$1/${encodeURIComponent(example.key)}/$2`)
  return payload.ok ? [`curl --json '${payload.text.replaceAll("'", `'\\''`)}' ${url}/v1/${path}`] : []
}
