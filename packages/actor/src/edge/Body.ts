/**
 * The bytes of a body, if it has exactly `length`. Keeps no more than these, and reads no further once there are more, or
 * once `signal` is aborted.
 */
export const read = async (
  body: ReadableStream<Uint8Array> | null,
  length: number,
  signal?: AbortSignal
): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  const all = new Uint8Array(length)
  return (await fill(all, body, signal)) === length ? all : undefined
}

/** The first bytes of a body, at most `most`; the rest is not read. */
export const first = async (body: ReadableStream<Uint8Array> | null, most: number): Promise<Uint8Array> => {
  const all = new Uint8Array(most)
  return all.subarray(0, await fill(all, body))
}

/** How many bytes were read: more than there is room for, when the body has more. */
const fill = async (
  all: Uint8Array,
  body: ReadableStream<Uint8Array> | null,
  signal?: AbortSignal
): Promise<number> => {
  if (body === null) return 0
  const reader = body.getReader()
  const cancel = () => void reader.cancel().catch(() => {})
  signal?.addEventListener("abort", cancel)
  try {
    let at = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return at
      all.set(value.subarray(0, all.length - at), at)
      at += value.length
      if (at <= all.length) continue
      cancel()
      return at
    }
  } finally {
    signal?.removeEventListener("abort", cancel)
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** As text; nothing when it is no UTF-8. A byte order mark is kept, and is no JSON: hosts and edges read alike. */
export const text = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
