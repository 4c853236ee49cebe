import type { Commit } from "@troupe/postgres/internal"

/** What a turn does to timers. What it clears, it clears before it sets any. */
export interface Changes {
  readonly timers: ReadonlyArray<Commit.TimerRow>
  readonly cleared: ReadonlyArray<Pick<Commit.TimerRow, "key" | "name">>
}

/** What turns did to timers, one after another, as what one turn does: of each timer the last change. */
export const settled = (turns: Iterable<Changes>): Changes => {
  const timers = new Map<string, Commit.TimerRow>()
  const cleared = new Map<string, Changes["cleared"][number]>()
  for (const turn of turns) {
    for (const one of turn.cleared) {
      timers.delete(idOf(one))
      cleared.set(idOf(one), one)
    }
    for (const one of turn.timers) {
      timers.set(idOf(one), one)
      cleared.delete(idOf(one))
    }
  }
  return { timers: [...timers.values()], cleared: [...cleared.values()] }
}

/** A subject token has no space. */
const idOf = ({ key, name }: Changes["cleared"][number]): string => `${key} ${name}`
