import { type Finding, fail, ok } from "./Finding.ts"

/** Clocks may differ by so much, in ms, before the times of messages mislead. */
const most = 1_000

/**
 * Compares this machine's clock with a server's: what the server said, between `before` and `after` here, all in ms. The
 * answer may have taken any part of that time, so only what lies outside of it is a difference.
 */
export const clock = (check: string, said: number, before: number, after: number): Finding => {
  const off = said < before ? said - before : said > after ? said - after : 0
  const says =
    Math.abs(off) < 2
      ? "the same as here"
      : `${Math.abs(off / 1000).toFixed(3)} s ${off > 0 ? "ahead of" : "behind"} this machine`
  return Math.abs(off) < most
    ? ok(check, says)
    : fail(check, says, "let NTP set both clocks; the times of messages come from them")
}
