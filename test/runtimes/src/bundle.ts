import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

/** One module of all that a file of this folder imports, as a browser would load it. */
export const bundle = async (file: string): Promise<string> => {
  const build = await rolldown({
    input: fileURLToPath(new URL(file, import.meta.url)),
    platform: "browser",
    resolve: { conditionNames: ["@troupe/source", "browser", "import", "default"] },
    logLevel: "silent"
  })
  const { output } = await build.generate({ format: "esm", codeSplitting: false })
  await build.close()
  return output[0].code
}
