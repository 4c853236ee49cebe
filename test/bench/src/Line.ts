import type { Bench } from "./Options.ts"

/** What a bench found, as `--json` prints it. */
export type Line = { readonly bench: Bench } & { readonly [figure: string]: unknown }

export type Print = (line: Line) => void
