import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

/**
 * Merges calls that come while one is under way into the next one: a single caller waits for nobody, many share a round
 * trip. `run` answers one Exit per item, in order. Callers bound it: each waits for its answer.
 */
export const make = <Item, Result, E>(
  run: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Exit.Exit<Result, E>>>
): Effect.Effect<(item: Item) => Effect.Effect<Result, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<{ readonly item: Item; readonly done: Deferred.Deferred<Result, E> }>()
    yield* Queue.takeAll(queue).pipe(
      Effect.flatMap((waiting) =>
        Effect.map(Effect.exit(run(waiting.map(({ item }) => item))), (exit) => {
          for (const [i, { done }] of waiting.entries())
            Deferred.doneUnsafe(done, exit._tag === "Success" ? exit.value[i]! : Exit.failCause(exit.cause))
        })
      ),
      Effect.forever,
      Effect.forkScoped
    )
    return (item) =>
      Effect.suspend(() => {
        const done = Deferred.makeUnsafe<Result, E>()
        Queue.offerUnsafe(queue, { item, done })
        return Deferred.await(done)
      })
  })
