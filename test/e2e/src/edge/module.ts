// What `deno serve` and Bun serve. Bun takes where to listen from here.
import { serve } from "./serve.ts"

const { NAME = "", PORT, SECRET } = process.env

export default { ...serve(NAME, [SECRET]), hostname: "127.0.0.1", port: Number(PORT) }
