/** What one check found. */
export interface Finding {
  readonly status: "ok" | "warn" | "fail"
  /** What was checked: `nats version`. */
  readonly check: string
  /** What is so. */
  readonly says: string
  /** What to do about it; none when it is fine. */
  readonly todo?: string
  /** Of a stream: the day (UTC) on which it will be full at its rate. */
  readonly fullOn?: string
}

export const ok = (check: string, says: string): Finding => ({ status: "ok", check, says })
export const warn = (check: string, says: string, todo: string): Finding => ({ status: "warn", check, says, todo })
export const fail = (check: string, says: string, todo: string): Finding => ({ status: "fail", check, says, todo })

/** An error with a message of the form `TRP0412 what · to what · why · what to do`. */
export const failed = (check: string, error: { readonly message: string }): Finding => {
  const [, says, todo] = /^(.* · .* · .*) · (.*)$/s.exec(error.message) ?? []
  return fail(check, says ?? error.message, todo ?? "read the cause")
}
