/** The longest line that is passed on; what is longer is cut. */
export const longest = 2_000

/** Cuts a flow of text into lines. Memory is bounded: of an endless line only its beginning is kept. */
export const make = (limit: number = longest) => {
  let rest = ""
  let dropped = 0
  const take = (): string => {
    const line = (dropped > 0 ? `${rest}… (${dropped} more)` : rest).replace(/\r$/, "")
    rest = ""
    dropped = 0
    return line
  }
  const add = (part: string): void => {
    const room = limit - rest.length
    rest += part.slice(0, room)
    dropped += Math.max(0, part.length - room)
  }
  return {
    /** The lines that this text completes. */
    push: (text: string): ReadonlyArray<string> =>
      text.split("\n").flatMap((part, i) => {
        const done = i === 0 ? [] : [take()]
        add(part)
        return done
      }),
    /** The last line, when it has no end. */
    end: (): ReadonlyArray<string> => (rest === "" ? [] : [take()])
  }
}

/** The last `count` lines of what was said, for an error. */
export const tail = (count: number) => {
  const kept: Array<string> = []
  return {
    push: (line: string): void => {
      kept.push(line)
      if (kept.length > count) kept.shift()
    },
    all: (): ReadonlyArray<string> => kept
  }
}
