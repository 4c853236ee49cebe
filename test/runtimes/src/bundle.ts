import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { type OutputChunk, rolldown } from "rolldown"

/** All that a file of this folder imports, as a browser would load it: what is loaded later is in chunks of its own. */
const built = async (file: string, how: { readonly minify: boolean; readonly codeSplitting: boolean }) => {
  const build = await rolldown({
    input: fileURLToPath(new URL(file, import.meta.url)),
    platform: "browser",
    resolve: { conditionNames: ["@troupe/source", "browser", "import", "default"] },
    logLevel: "silent"
  })
  const { output } = await build.generate({ format: "esm", ...how })
  await build.close()
  return output.filter((part): part is OutputChunk => part.type === "chunk")
}

/** One module. */
export const bundle = async (file: string): Promise<string> => {
  const [only] = await built(file, { minify: false, codeSplitting: false })
  return only!.code
}

/** Bytes, minified and gzipped, of everything that is loaded now or later. */
export const size = async (file: string): Promise<number> => {
  const chunks = await built(file, { minify: true, codeSplitting: true })
  return chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
}
