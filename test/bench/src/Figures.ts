/** The value below which the share `q` of the values lies (nearest rank); `NaN` of none. */
export const quantile = (values: Iterable<number>, q: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
}

export const median = (values: Iterable<number>): number => quantile(values, 0.5)

/** Two digits behind the point. */
export const short = (value: number): number => Math.round(value * 100) / 100

/** How far something had come at a time, in ms. */
export interface Progress {
  readonly at: number
  readonly count: number
}

/** The rate per second of each tenth of the way from the first to the last point; fewer where one step passed several. */
export const tenths = (points: ReadonlyArray<Progress>): ReadonlyArray<number> => {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined || last.count === first.count) return []
  const rates: Array<number> = []
  let from = first
  for (let tenth = 1; tenth <= 10; tenth++) {
    const goal = first.count + ((last.count - first.count) * tenth) / 10
    const to = points.find(({ count }) => count >= goal) ?? last
    if (to.at > from.at) rates.push(Math.round(((to.count - from.count) / (to.at - from.at)) * 1_000))
    from = to
  }
  return rates
}
