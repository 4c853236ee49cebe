import { Id } from "@troupe/contract"

/**
 * The message id of a request: UUIDv8 of SHA-256 of who sends what to which actor under which name of his own: an idempotency key,
 * or source and id of a CloudEvent. All of it: the stream drops a second message of one id, so a name that is used again for
 * another order must be another id.
 */
export const ofRequest = async (
  principal: string,
  type: string,
  key: string,
  name: ReadonlyArray<string>
): Promise<string> => {
  const text = JSON.stringify([principal, type, key, ...name])
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
  return Id.version8(Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""))
}
