import type { Contract } from "@troupe/contract"
import type { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Self } from "./Self.ts"

/** What a handler may be: a generator, an Effect, an async function or a plain function. */
export type Outcome<Reply, Error, R> =
  | Effect.Effect<Reply, Error, R>
  | Generator<Effect.Effect<unknown, Error, R>, Reply, never>
  | Promise<Reply>
  | Bare<Reply>

/** A reply type that takes any object, such as `{}` or `unknown`, would also take a generator with its errors unseen. */
type Bare<Reply> = {} extends Reply ? never : Reply

/** What a command answers with. */
export type Reply<C extends Contract.AnyCommand> = C["reply"]["Type"]
/** The errors that a command declares. */
export type DeclaredError<C extends Contract.AnyCommand> = C["errors"][number]["Type"]

/** Handles one command of an actor, and fails as that command declares. */
export interface Handler<A extends Contract.AnyActor, C extends keyof A["commands"], S, R> {
  (
    payload: Contract.Payload<A["commands"][C]["payload"]>,
    self: S
  ): Outcome<Reply<A["commands"][C]>, DeclaredError<A["commands"][C]>, R>
}

/** One handler per command of the contract. */
export type Handlers<A extends Contract.AnyActor, State, Sends extends string, R> = {
  readonly [C in keyof A["commands"] & string]: Handler<A, C, Self<A, State, Sends>, R>
}

/** A compile error in words: `Reason` says what is wrong and what to do about it, `Found` is the type it is about. */
export interface Refused<Reason extends string, Found = unknown> {
  readonly "~refused": Reason
  readonly "~found": Found
}

/** `unknown` when `R` is `Db` or nothing, otherwise a compile error: outside I/O in a turn would be repeated with the turn. */
export type OnlyDb<R> = [Exclude<R, Db>] extends [never]
  ? unknown
  : Refused<"a handler may use Db and no other service: do outside I/O in a worker", Exclude<R, Db>>

const isGenerator = (u: unknown): u is Turns =>
  typeof u === "object" && u !== null && "next" in u && Symbol.iterator in u && !Effect.isEffect(u)

type Turns = Generator<Effect.Effect<unknown, unknown, Db>, unknown, never>

/**
 * A generator that yields Effects only. Effect looks at anything else where nothing catches what that throws: an object
 * without a prototype, or a revoked proxy, would end the process.
 */
const checked = (out: Turns): Turns =>
  ({
    next: (value: never) => {
      const step = out.next(value)
      if (step.done !== true && !Effect.isEffect(step.value)) throw new TypeError("it yielded what is no Effect")
      return step
    }
  }) as Turns

/** Calls a handler, and makes one Effect of whatever it returns: of a plain function one that is over, an Exit. */
export const run = (handler: () => unknown): Effect.Effect<unknown, unknown, Db> => {
  try {
    const out = handler()
    if (Effect.isEffect(out)) return out as Effect.Effect<unknown, unknown, Db>
    if (isGenerator(out)) return Effect.gen(() => checked(out))
    if (out instanceof Promise) return Effect.promise(() => out)
    return Exit.succeed(out)
  } catch (defect) {
    return Exit.die(defect)
  }
}
