/** Where a server that trusts all programs of its machine may listen, and what it may be called there. */
export const isLoopback = (host: string): boolean => /^(localhost|127\.0\.0\.1|\[?::1\]?)$/.test(host)

/** The headers of a request that say which page asks. */
export type Asks = (header: "origin" | "sec-fetch-site") => string | null | undefined

/**
 * Whether a request came from a program of this machine and not from a page of another site that a browser here shows. Such a
 * page reaches loopback by a name of its own (DNS rebinding). `url` has the host that was asked for.
 */
export const isLocal = (url: URL, asks: Asks): boolean => isLoopback(url.hostname) && isNoOtherSite(url, asks)

/**
 * Whether no page of another site asks, whatever host the request names. Such a page asks with its `Origin`, or without one, as
 * for an image or a script: then the browser says so in `Sec-Fetch-Site` (W3C, Fetch Metadata Request Headers).
 */
export const isNoOtherSite = (url: URL, asks: Asks): boolean =>
  (asks("origin") ?? url.origin) === url.origin && ["same-origin", "none"].includes(asks("sec-fetch-site") ?? "none")
