// The wall clock of this process, which a test may set wrong; the monotonic one stays. Imported before anything that reads it.
const Wall = Date
let offset = 0

class Shifted extends Wall {
  constructor(...args: ReadonlyArray<unknown>) {
    super(...((args.length === 0 ? [Shifted.now()] : args) as [number]))
  }
  static override now(): number {
    return Wall.now() + offset
  }
}
globalThis.Date = Shifted as DateConstructor

/** Sets the clock so many ms ahead, or behind. */
export const shift = (ms: number): void => {
  offset = ms
}
