/** A message that runs, as another thread can read it: `Running` of the actor's board. */
export interface Message {
  readonly consumer: number
  readonly p: number
  readonly id: string
  readonly what: string
}

/** A message that is shown; `waited`: the event loop has turned since it began, so that something else may have run meanwhile. */
export interface Shown extends Message {
  readonly waited: boolean
}

/** Places for messages in memory that two threads share; one of them writes. */
export interface Slots {
  /** Shows a message, and answers its place; -1 when there is no room. Texts are cut after 640 bytes of UTF-8. */
  readonly begin: (message: Message) => number
  readonly end: (place: number) => void
  /** The event loop turns. */
  readonly turned: () => void
  /** Those that are shown now. */
  readonly shown: () => ReadonlyArray<Shown>
}

const count = 256
const textBytes = 640
/** Fields of 32 bits at the head of a slot. */
const field = { shown: 0, consumer: 1, p: 2, id: 3, what: 4, waited: 5 } as const
const headBytes = 32
const slotBytes = headBytes + 2 * textBytes

export const bytes = count * slotBytes

export const of = (memory: SharedArrayBuffer, at: number): Slots => {
  const slots = Array.from({ length: count }, (_, i) => {
    const start = at + i * slotBytes
    return {
      head: new Int32Array(memory, start, headBytes / 4),
      id: new Uint8Array(memory, start + headBytes, textBytes),
      what: new Uint8Array(memory, start + headBytes + textBytes, textBytes)
    }
  })
  const free = Array.from({ length: count }, (_, i) => count - 1 - i)
  const encoder = new TextEncoder()
  /** Places that were taken since the loop turned. */
  let begun: Array<number> = []
  return {
    begin: ({ consumer, id, p, what }) => {
      const place = free.pop()
      if (place === undefined) return -1
      const slot = slots[place]!
      slot.head[field.consumer] = consumer
      slot.head[field.p] = p
      slot.head[field.id] = encoder.encodeInto(id, slot.id).written
      slot.head[field.what] = encoder.encodeInto(what, slot.what).written
      slot.head[field.waited] = 0
      Atomics.store(slot.head, field.shown, 1)
      begun.push(place)
      return place
    },
    turned: () => {
      for (const place of begun) Atomics.store(slots[place]!.head, field.waited, 1)
      begun = []
    },
    end: (place) => {
      if (place < 0) return
      Atomics.store(slots[place]!.head, field.shown, 0)
      free.push(place)
    },
    shown: () => {
      const decoder = new TextDecoder()
      const text = (bytes: Uint8Array, length: number) => decoder.decode(bytes.slice(0, length))
      return slots.flatMap(({ head, id, what }) =>
        Atomics.load(head, field.shown) === 0
          ? []
          : {
              consumer: head[field.consumer]!,
              p: head[field.p]!,
              id: text(id, head[field.id]!),
              what: text(what, head[field.what]!),
              waited: Atomics.load(head, field.waited) === 1
            }
      )
    }
  }
}
