/** What signs the calls of the tests, and what does not. */
export const secret = "a secret of the tests, long enough"
export const other = "another secret of the tests, as long"

/** A body that gives `chunk` bytes each time it is read, as often as it is, and counts how often. */
export const endless = (chunk: number) => {
  const counts = { pulled: 0, cancelled: 0 }
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull: (controller) => {
        counts.pulled++
        controller.enqueue(new Uint8Array(chunk))
      },
      cancel: () => void counts.cancelled++
    },
    { highWaterMark: 0 }
  )
  return { body, counts }
}

/** Handlers of the meter that do nothing. */
export const handlers = { rest: () => {}, break: () => {}, read: () => ({ rolls: [], now: 0, clock: 0 }) }
