/**
 * Values that make code which describes them fail: built from a recipe, a list of numbers, each of which is one choice. The
 * same recipe builds the same value; one that has run out builds the simplest.
 */
export const build = (recipe: ReadonlyArray<number>): unknown => {
  let at = 0
  const choose = (count: number): number => (recipe[at++] ?? 0) % count
  const above: Array<object> = []

  const value = (depth: number): unknown => {
    const simple = simples.length
    // An endless recipe builds an object of bounded depth.
    const choice = choose(depth > 4 ? simple : simple + builders.length)
    return choice < simple ? simples[choice]!() : builders[choice - simple]!(depth + 1)
  }

  const filled = <A extends object>(target: A, depth: number): A => {
    above.push(target)
    for (const name of names) {
      const kind = choose(6)
      if (kind < 3) continue
      const property =
        kind === 3
          ? { get: thrower }
          : kind === 4
            ? { get: () => value(5), enumerable: true }
            : { value: value(depth), enumerable: true, writable: true, configurable: true }
      try {
        Object.defineProperty(target, name, property)
      } catch {
        // Some properties of some values cannot be redefined.
      }
    }
    above.pop()
    return target
  }

  const builders: ReadonlyArray<(depth: number) => unknown> = [
    (depth) => filled({}, depth),
    (depth) => filled(new Error("an error"), depth),
    (depth) => filled(Object.create(null) as object, depth),
    (depth) => filled(new AggregateError([value(depth), value(depth)]), depth),
    (depth) => filled([value(depth), value(depth), value(depth)], depth),
    (depth) => filled(() => {}, depth),
    (depth) => new Error("an error", { cause: value(depth) }),
    (depth) => filled(Object.create(filled({}, depth)) as object, depth),
    // A value that holds itself.
    () => above[choose(above.length || 1)] ?? 0,
    (depth) => {
      const traps = Object.fromEntries(trapNames.flatMap((name) => (choose(2) === 0 ? [] : [[name, thrower]])))
      return new Proxy(filled(choose(2) === 0 ? {} : new Error("in a proxy"), depth), traps)
    }
  ]
  return value(0)
}

const thrower = (): never => {
  throw new Error("from inside the value")
}

const names = [
  "name",
  "message",
  "stack",
  "cause",
  "code",
  "errors",
  "constructor",
  "length",
  "toString",
  "toJSON",
  "_tag",
  "~effect/Cause",
  Symbol.toPrimitive,
  Symbol.toStringTag,
  Symbol.iterator,
  Symbol.for("nodejs.util.inspect.custom")
]

const trapNames = ["get", "has", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor"] as const

const huge = "x".repeat(100 * 1024 ** 2)
/** A proxy of which every operation throws. */
export const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const cyclic = (): Error => {
  const error = new Error("it causes itself")
  error.cause = error
  return error
}
/** It would take minutes to write its digits down. */
const long = 1n << (1n << 24n)

const simples: ReadonlyArray<() => unknown> = [
  () => undefined,
  () => null,
  () => "",
  () => " \n ",
  () => "a text",
  () => "\0 \ud800 \u001b[31m \u2028",
  () => huge,
  () => 0,
  () => Number.NaN,
  () => true,
  () => 1n,
  () => long,
  () => Symbol("a symbol"),
  () => Symbol(),
  () => () => {},
  () => class Named {},
  () => Object.assign([1], { 2: 3 }),
  () => Object.assign([], { length: 2 ** 32 - 1 }),
  () => new Date(Number.NaN),
  () => new Map([[1, 2]]),
  () => new WeakMap(),
  () => new Uint8Array(1_000_000),
  () => new Object(huge),
  () => Object.create(null),
  () => Object.freeze(new Error("frozen")),
  () => Promise.resolve(),
  () => new Error(huge),
  cyclic,
  () => new AggregateError([cyclic()]),
  revoked,
  () => new Proxy({}, Object.fromEntries(trapNames.map((name) => [name, thrower]))),
  () => Object.assign(new Error("its toString never ends"), { toString: forever, toJSON: forever }),
  () => ({ toString: () => huge, toJSON: () => huge }),
  () => ({ [Symbol.toPrimitive]: forever, [Symbol.for("nodejs.util.inspect.custom")]: forever }),
  () => Object.defineProperty(new Error("its stack is no text"), "stack", { value: 5 })
]
const forever = (): never => {
  for (;;);
}
