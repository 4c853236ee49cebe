/** What a pull asks for at once while its reader has more to read, bytes: twice that is under way at most. */
const usual = 512 * 1024
/** Room beside the payload for what the server counts as well: the subject and the reply subject. */
const overhead = 4_096
/** What all pulls of one connection may bring that were given room, bytes. */
const total = 12 * 1024 ** 2
/** What all pulls that wait for the next message may bring, bytes. */
const waiting = 4 * 1024 ** 2

/**
 * How many bytes the readers of one connection may have asked JetStream for. nats-server sends at once what it was asked
 * for, and ends a connection that lets 64 MiB wait (`max_pending`): so all readers share 16 MiB, however many they are.
 * A reader that has read everything asks for a few bytes and takes none from the budget; a larger message ends that pull
 * with status 409 (nats-server ADR-13), and the reader takes room for it. Room is given in the order in which it was
 * asked for, so that no reader starves.
 */
export class ReadBudget {
  private free = total
  private readers = 0
  private readonly queue = new Set<Share>()

  /** The part of one reader, for as long as it reads. */
  enter(): Share {
    this.readers++
    return new Share({
      enqueue: (share) => {
        this.queue.add(share)
        this.serve()
      },
      give: (bytes) => {
        this.free += bytes
        this.serve()
      },
      leave: (share) => {
        this.queue.delete(share)
        this.readers--
        this.serve()
      },
      idle: () => Math.min(64 * 1024, Math.max(1_024, Math.floor(waiting / this.readers)))
    })
  }

  private serve(): void {
    for (const share of this.queue) {
      if (share.wanted > this.free) return
      this.queue.delete(share)
      this.free -= share.wanted
      share.given()
    }
  }
}

interface Source {
  readonly enqueue: (share: Share) => void
  readonly give: (bytes: number) => void
  readonly leave: (share: Share) => void
  readonly idle: () => number
}

/** What one reader has of a budget. */
export class Share {
  /** `max_bytes` of a pull that needs no room for the largest message. */
  static readonly usual: number = usual
  /** Bytes that it waits for. */
  wanted = 0
  /** Bytes that it has and that may still arrive. */
  held = 0
  /** Above 1 when the server has larger messages than it said: it tells nobody when its `max_payload` is raised. */
  private factor = 1
  private onGiven: () => void = () => {}
  private ended = false
  private readonly source: Source

  constructor(source: Source) {
    this.source = source
  }

  /** `max_bytes` of a pull that waits for the next message; less than a large message has. */
  get idle(): number {
    return this.source.idle()
  }

  /** `max_bytes` of a pull: the usual size, or room for the largest message that the server takes. */
  size(large: boolean, maxPayload: number): number {
    return large ? Math.max(usual, this.factor * maxPayload + overhead) : usual
  }

  /** A message did not fit into what was left of a pull, bytes. Answers whether it needs more than a pull of the usual size. */
  exceeded(left: number, maxPayload: number): boolean {
    if (left >= this.size(true, maxPayload)) this.factor = Math.min(2 * this.factor, 64)
    return left >= usual
  }

  /** Calls back, maybe at once, when there is room. One that is larger than the budget gets all of it, alone. */
  take(bytes: number, onGiven: () => void): void {
    this.wanted = Math.min(bytes, total)
    this.onGiven = onGiven
    this.source.enqueue(this)
  }

  /** Of the budget itself: there is room. */
  given(): void {
    this.held += this.wanted
    this.wanted = 0
    this.onGiven()
  }

  /** Gives back what has arrived, or will not arrive. */
  release(bytes = this.held): void {
    const released = Math.min(bytes, this.held)
    this.held -= released
    if (released > 0) this.source.give(released)
  }

  /** Gives everything back, and waits for nothing any more. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.source.leave(this)
    this.release()
  }
}
