/** One line on stderr; stdout belongs to the figures. */
export const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`)
