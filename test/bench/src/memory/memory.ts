import type { Print } from "../Line.ts"
import type * as Options from "../Options.ts"
import * as Effect from "effect/Effect"
export const run = (_o: Options.Options, _p: Print) => Effect.void
