/** What went wrong, for a person: of an error its stack. */
export const reason = (why: unknown): string =>
  why instanceof Error ? (why.stack ?? `${why.name}: ${why.message}`) : typeof why === "string" ? why : safeJson(why)

const safeJson = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
