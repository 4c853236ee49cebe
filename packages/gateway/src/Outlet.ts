import * as Effect from "effect/Effect"

const encoder = new TextEncoder()

/**
 * The body of an event stream. It holds at most what was written last: `write` waits until the reader has taken what was
 * before. A reader that takes nothing for `stalled` ms is given up.
 */
export class Outlet {
  readonly body: ReadableStream<Uint8Array>
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined
  private wanted = false
  private wake: (() => void) | undefined
  private readonly stalled: number

  /** `left` is called when the reader has gone. */
  constructor(stalled: number, left: () => void) {
    this.stalled = stalled
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller
        },
        pull: () => {
          this.wanted = true
          this.wake?.()
        },
        cancel: () => {
          this.controller = undefined
          left()
        }
      },
      { highWaterMark: 0 }
    )
  }

  /** Written before anybody reads. */
  begin(text: string): void {
    this.controller?.enqueue(encoder.encode(text))
  }

  /** Whether it was written at once: the reader waits for something. */
  offer(text: string): boolean {
    if (!this.wanted || this.controller === undefined) return false
    this.wanted = false
    this.controller.enqueue(encoder.encode(text))
    return true
  }

  /** Succeeds when the reader has taken what was before, else gives it up. */
  write(text: string): Effect.Effect<void, "stalled"> {
    return Effect.callback((resume) => {
      if (this.offer(text)) return resume(Effect.void)
      const done = (): void => {
        this.wake = undefined
        clearTimeout(timer)
      }
      const timer = setTimeout(() => {
        done()
        this.controller?.error(new Error("the reader takes nothing"))
        this.controller = undefined
        resume(Effect.fail("stalled"))
      }, this.stalled)
      this.wake = () => {
        done()
        this.offer(text)
        resume(Effect.void)
      }
      return Effect.sync(done)
    })
  }

  /** Ends it; what the reader has not taken yet it still gets. */
  close(): void {
    this.controller?.close()
    this.controller = undefined
  }
}
