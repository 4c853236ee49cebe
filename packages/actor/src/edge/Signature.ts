/** The headers of a call; its answer has those of its body and the signature. */
export const headers = {
  protocol: "troupe-edge",
  time: "troupe-time",
  id: "troupe-call",
  length: "troupe-length",
  hash: "troupe-sha256",
  signature: "troupe-signature"
} as const

/** The version of what is signed and how. An edge refuses calls of another one: see `docs/adr/0026-a-signed-head.md`. */
export const protocol = "2"

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

/** What a head says of the body that follows it. */
export interface Described {
  /** Bytes. */
  readonly length: number
  /** SHA-256, in hex. */
  readonly hash: string
}

export const describe = async (body: Uint8Array<ArrayBuffer>): Promise<Described> => ({
  length: body.length,
  hash: toHex(await crypto.subtle.digest("SHA-256", body))
})

/** Reads the description of a body from the headers of a call or an answer. */
export const described = (get: Headers): Described | undefined => {
  const length = get.get(headers.length) ?? ""
  const hash = get.get(headers.hash) ?? ""
  return /^[1-9]\d{0,9}$/.test(length) && /^[0-9a-f]{64}$/.test(hash) ? { length: Number(length), hash } : undefined
}

/** The headers that describe a body. */
export const describing = ({ hash, length }: Described) => ({
  [headers.length]: String(length),
  [headers.hash]: hash
})

/** The head of a call: what is signed of it. No field holds a line break. */
export const ofCall = (url: URL, time: string, id: string, body: Described): string =>
  `troupe-edge-${protocol}\nPOST\n${url.host}\n${url.pathname}${url.search}\n${time}\n${id}\n${body.length}\n${body.hash}\n`

/** The head of an answer: it answers one call only. */
export const ofAnswer = (callSignature: string, body: Described): string =>
  `troupe-edge-${protocol}\nanswer\n${callSignature}\n${body.length}\n${body.hash}\n`

/** HMAC-SHA-256 of a head, in hex. */
export const sign = async (secret: string, head: string): Promise<string> =>
  toHex(await crypto.subtle.sign("HMAC", await key(secret), utf8.encode(head)))

/** The secret that a head was signed with; compared in constant time. */
export const signer = async (
  secrets: ReadonlyArray<string>,
  signature: string,
  head: string
): Promise<string | undefined> => {
  const bytes = fromHex(signature)
  if (bytes === undefined) return undefined
  const text = utf8.encode(head)
  for (const secret of secrets) {
    if (await crypto.subtle.verify("HMAC", await key(secret), bytes, text)) return secret
  }
  return undefined
}

const key = (secret: string): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", utf8.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"])

const utf8 = new TextEncoder()

const toHex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const fromHex = (hex: string): Uint8Array<ArrayBuffer> | undefined =>
  /^[0-9a-f]{64}$/.test(hex)
    ? Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
    : undefined
