/** What a gateway bounds. All of it is per process. */
export interface Limits {
  /** Of a request's body, in bytes; more is refused with 413. Default: 1 MiB. */
  readonly body: number
  /** The longest time that a caller may have a request wait for its answer, in seconds. Default: 60. */
  readonly maxWait: number
  /**
   * Requests under way at once, without event streams: in all (more are refused with 503), and a quarter of them of each
   * principal (429). Default: 1,024.
   */
  readonly concurrent: number
  /** Of each principal: so many at once after a rest, and so many a second for ever; more are refused with 429. Default: 200 and 100. */
  readonly rate: { readonly burst: number; readonly perSecond: number }
  /** Event streams at once: of each principal (more are refused with 429), and in all (503). Default: 10 and 1,000. */
  readonly streams: { readonly perPrincipal: number; readonly all: number }
  /** An event stream whose reader takes nothing for so long is closed, in ms. Default: 30 seconds. */
  readonly stalled: number
  /** Between the comments that keep an event stream alive, in ms. Default: 15 seconds. */
  readonly keepAlive: number
}

export const limits: Limits = {
  body: 1_048_576,
  maxWait: 60,
  concurrent: 1_024,
  rate: { burst: 200, perSecond: 100 },
  streams: { perPrincipal: 10, all: 1_000 },
  stalled: 30_000,
  keepAlive: 15_000
}
