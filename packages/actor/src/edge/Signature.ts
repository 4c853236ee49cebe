/** The headers of a call; its answer has the signature only. */
export const headers = { time: "troupe-time", id: "troupe-call", signature: "troupe-signature" } as const

/** A call is refused that was signed longer ago, or further ahead, in ms. */
export const window = 5 * 60_000

/** Characters that a secret has at least. */
const shortest = 32

/** Those that are set. Throws a `TypeError` when there is none, or one is too short to be a secret. */
export const secrets = (given: ReadonlyArray<string | undefined>): ReadonlyArray<string> => {
  const set = given.filter((secret) => secret !== undefined && secret !== "") as ReadonlyArray<string>
  if (set.length === 0) throw new TypeError("no secret is set")
  if (set.some(({ length }) => length < shortest)) throw new TypeError(`a secret has at least ${shortest} characters`)
  return set
}

/** What is signed of a call: all but the body. No field of it holds a line break, and the body comes last. */
export const ofCall = (url: URL, time: string, id: string): string =>
  `troupe-edge-1\nPOST\n${url.pathname}${url.search}\n${time}\n${id}\n`

/** What is signed of an answer, but for its body: it answers one call only. */
export const ofAnswer = (callSignature: string): string => `troupe-edge-1\nanswer\n${callSignature}\n`

/** HMAC-SHA-256, in hex. */
export const sign = async (secret: string, head: string, body: Uint8Array): Promise<string> =>
  toHex(await crypto.subtle.sign("HMAC", await key(secret), joined(head, body)))

/** The secret that it was signed with; compared in constant time. */
export const signer = async (
  secrets: ReadonlyArray<string>,
  signature: string,
  head: string,
  body: Uint8Array
): Promise<string | undefined> => {
  const bytes = fromHex(signature)
  if (bytes === undefined) return undefined
  const text = joined(head, body)
  for (const secret of secrets) {
    if (await crypto.subtle.verify("HMAC", await key(secret), bytes, text)) return secret
  }
  return undefined
}

const key = (secret: string): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", utf8.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"])

const utf8 = new TextEncoder()

const joined = (head: string, body: Uint8Array): Uint8Array<ArrayBuffer> => {
  const first = utf8.encode(head)
  const all = new Uint8Array(first.length + body.length)
  all.set(first)
  all.set(body, first.length)
  return all
}

const toHex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const fromHex = (hex: string): Uint8Array<ArrayBuffer> | undefined =>
  /^[0-9a-f]{64}$/.test(hex)
    ? Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
    : undefined
