// Loaded before a host: its wall clock jumps when it is told so, and it says on stdout where it is then. The monotonic clock
// stays, as it does when somebody sets a machine's time.
const Wall = Date
let offset = 0

class Shifted extends Wall {
  constructor(...args: ReadonlyArray<unknown>) {
    super(...((args.length === 0 ? [Shifted.now()] : args) as ConstructorParameters<DateConstructor>))
  }
  static override now(): number {
    return Wall.now() + offset
  }
}
globalThis.Date = Shifted as DateConstructor

process.on("message", ({ clock }: { readonly clock?: number }) => {
  if (clock === undefined) return
  offset = clock
  process.stdout.write(`clock ${Date.now()}\n`)
})
