import { SignJWT, UnsecuredJWT } from "jose"
import { name } from "./target.ts"

const key = (secret: string): Uint8Array => new TextEncoder().encode(secret)

/** A token that permits everything. */
export const valid = (secret: string): Promise<string> =>
  new SignJWT({ scope: "send:* hear:* metrics" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("fuzzer")
    .setExpirationTime("1 day")
    .sign(key(secret))

/** Tokens of every kind, valid ones among them. */
export const all = async (secret: string): Promise<ReadonlyArray<string>> => {
  const good = await valid(secret)
  const [head = "", claims = "", signature = ""] = good.split(".")
  const signed = (claims: object, by = secret, header: object = {}): Promise<string> =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256", ...header }).sign(key(by))
  const now = Math.floor(Date.now() / 1000)
  const base = { sub: "fuzzer", exp: now + 86_400, scope: "send:* hear:* metrics" }
  const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
  return [
    // As many as all others together.
    ...Array.from({ length: 20 }, () => good),
    await signed({ ...base, sub: "another" }),
    await signed({ ...base, scope: `send:${name}.Tally.read` }),
    await signed({ ...base, scope: `send:${name}.* hear:none` }),
    await signed({ ...base, scope: "" }),
    await signed({ ...base, scope: ["send:*"] }),
    await signed({ ...base, scope: 1 }),
    await signed({ ...base, exp: now - 3_600 }),
    await signed({ ...base, exp: 1e15 }),
    await signed({ ...base, nbf: now + 3_600 }),
    await signed({ scope: base.scope, exp: base.exp }),
    await signed({ sub: "fuzzer", scope: base.scope }),
    await signed({ ...base, sub: "" }),
    await signed({ ...base, sub: "s".repeat(2_000) }),
    await signed(base, "another secret of thirty-two bytes, or more"),
    await signed(base, secret, { kid: "../../key" }),
    new UnsecuredJWT(base).encode(),
    `${json({ alg: "none" })}.${claims}.`,
    `${json({ alg: "RS256" })}.${claims}.${signature}`,
    `${json({ alg: "HS256", crit: ["exp"] })}.${claims}.${signature}`,
    `${head}.${json({ ...base, sub: "forged" })}.${signature}`,
    `${head}.${claims}.${signature.slice(0, -2)}`,
    `${head}.${claims}`,
    `${head}..${signature}`,
    "a.b.c",
    "."
  ]
}
