/** What may not be shown as it is: of all characters those that are control or format characters, or break lines. */
export const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

/** Each of them. */
export const foreign: ReadonlyArray<string> = Array.from({ length: 0x110000 }, (_, code) =>
  String.fromCodePoint(code)
).filter((char) => hidden.test(char) && !/\p{Cs}/u.test(char))
