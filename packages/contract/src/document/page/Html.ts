import * as Text from "../../Text.ts"

/** Text that is HTML already. Made by `html` only, which escapes all else that it is given. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = Html | string | number | false | undefined | ReadonlyArray<Part>

/** HTML with what is put in as text: it can be neither markup nor the end of an attribute in quotes, and has no
 * control or format characters. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.reduce((all, next, i) => `${all}${textOf(parts[i - 1])}${next}`))

const textOf = (part: Part): string => {
  if (part === undefined || part === false) return ""
  if (part instanceof Html) return part.text
  return typeof part === "object" ? part.map(textOf).join("") : escaped(String(part))
}

const escaped = (text: string): string =>
  Text.visible(text).replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

/** All of them, with something between. */
export const joined = (parts: ReadonlyArray<Part>, between: string): Html =>
  html`${parts.map((part, i) => (i === 0 ? part : [between, part]))}`
