import type { Problem } from "./Problem.ts"

/** How long a caller waits for its answer: RFC 7240, `wait` and `respond-async`. */
export interface Preferences {
  readonly async: boolean
  /** In seconds. */
  readonly wait: number
  /** For `Preference-Applied`; what was not asked for is not in it. */
  readonly applied: string | undefined
}

/** In seconds. */
const defaultWait = 10

/** What cannot be read is as if it were not there, as RFC 7240 has it. `wait` is at least 1, and at most `maxWait`. */
export const preferences = (prefer: string | null, maxWait: number): Preferences => {
  const said = (prefer ?? "").split(",").map((one) => one.split(";", 1).join().trim().toLowerCase())
  if (said.includes("respond-async")) return { async: true, wait: 0, applied: "respond-async" }
  const asked = said.map((one) => /^wait\s*=\s*"?(\d{1,9})"?$/.exec(one)?.[1]).find((one) => one !== undefined)
  const wait = Math.min(maxWait, Math.max(1, Number(asked ?? defaultWait)))
  return { async: false, wait, applied: asked === undefined ? undefined : `wait=${wait}` }
}

/** The header `Idempotency-Key`, bare or as a quoted string, of at most 255 characters. */
export const idempotencyKey = (header: string | null): string | undefined | Problem => {
  if (header === null) return undefined
  const [, quoted, bare] = /^(?:"((?:[ !#-[\]-~]|\\["\\])*)"|([!#-~]+))$/.exec(header.trim()) ?? []
  const key = bare ?? quoted?.replaceAll(/\\(["\\])/g, "$1") ?? ""
  return key !== "" && key.length <= 255
    ? key
    : {
        status: 400,
        code: "TRP0710",
        why: "Idempotency-Key is 1 to 255 printable ASCII characters, in quotes if one is a space"
      }
}
