/** What may not be shown as it is: control and format characters, and those that break lines. */
export const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

/** A text of others with characters of each kind, and a line that looks like one of ours. PostgreSQL stores no null character. */
export const hostile = [
  "\u001b[31mred\u0007\u0085\u009b2J",
  "\u202ereversed\u2066\u200b\ufeff\u00ad\u{e0041}",
  "\u2028TRP9999 forged\u2029TRP9999 forged\rTRP9999 forged",
  "TRP9999 forged · by · others"
].join("\n")
