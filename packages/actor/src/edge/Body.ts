/** All of a body, or nothing when it has more bytes than `most`; the rest is not read then. */
export const read = async (
  body: ReadableStream<Uint8Array> | null,
  most: number
): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  if (body === null) return new Uint8Array()
  const chunks: Array<Uint8Array> = []
  let length = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > most) {
      await reader.cancel()
      return undefined
    }
    chunks.push(value)
  }
  const all = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
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
