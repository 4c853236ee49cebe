import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const here = createRequire(import.meta.url)
const arch = process.arch === "arm64" ? "arm64" : "x64"

/** The binaries come in packages of their platform, beside the package that would pick one of them when it is installed. */
const platforms: { readonly [name: string]: { readonly [platform: string]: string } } = {
  deno: {
    linux: `@deno/linux-${arch}-glibc/deno`,
    darwin: `@deno/darwin-${arch}/deno`
  },
  bun: {
    linux: `@oven/bun-linux-${arch === "arm64" ? "aarch64" : arch}/bin/bun`,
    darwin: `@oven/bun-darwin-${arch === "arm64" ? "aarch64" : arch}/bin/bun`
  },
  workerd: {
    linux: `@cloudflare/workerd-linux-${arch === "x64" ? "64" : arch}/bin/workerd`,
    darwin: `@cloudflare/workerd-darwin-${arch === "x64" ? "64" : arch}/bin/workerd`
  }
}

/** The file of a runtime's program, as npm installed it for this platform. Throws where it has none. */
export const binary = (name: "deno" | "bun" | "workerd"): string => {
  const path = platforms[name]?.[process.platform]
  if (path === undefined) throw new Error(`${name} is not to be had from npm for ${process.platform}`)
  const [scope, platform, ...rest] = path.split("/")
  const manifest = createRequire(here.resolve(`${name}/package.json`)).resolve(`${scope}/${platform}/package.json`)
  return join(dirname(manifest), ...rest)
}
