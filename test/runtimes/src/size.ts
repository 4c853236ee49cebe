// How much a browser or a Worker loads for the shop's contract and the client. Fails above the limit.
import { size } from "./bundle.ts"

const limit = 100_000

const bytes = await size("shopPage.ts")
const kB = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} kB`
console.log(`contract and client, minified and gzipped: ${kB(bytes)} of ${kB(limit)}`)
if (bytes > limit) process.exitCode = 1
