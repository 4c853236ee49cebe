import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"

const repository = resolve(import.meta.dirname, "../..")

/** A program that ended, and what it wrote. */
export interface Ended {
  readonly code: number
  readonly output: string
}

/** A project outside of the repository, that has installed packages as a registry would give them. */
export interface Scratch extends AsyncDisposable {
  write(name: string, text: string): Promise<void>
  read(name: string): Promise<string>
  /** Type-checks these files, declarations of packages included. */
  check(...files: ReadonlyArray<string>): Promise<Ended>
  /** Runs a file under this Node.js, with no flags but `flags`. */
  run(file: string, ...flags: ReadonlyArray<string>): Promise<Ended>
  /** Runs another program. */
  start(program: string, ...args: ReadonlyArray<string>): Promise<Ended>
}

/**
 * Builds and packs the packages in these folders, by name, and installs them together with what they depend on. Works on copies: the
 * repository's own `dist` may be of another day, or be written by another build right now.
 */
export const make = async (packages: { readonly [name: string]: string }): Promise<Scratch> => {
  const root = await mkdtemp(join(tmpdir(), "troupe-package-"))
  const dispose = () => rm(root, { recursive: true, force: true })
  try {
    const workspace = join(root, "workspace")
    await mkdir(workspace)
    for (const file of ["package.json", "pnpm-workspace.yaml", "tsconfig.base.json", ...Object.values(packages)]) {
      const filter = (from: string) => !from.endsWith("/dist") && !from.endsWith("/.turbo")
      await cp(join(repository, file), join(workspace, file), { recursive: true, verbatimSymlinks: true, filter })
    }
    // What the packages are tested with is asked for its version, and not packed.
    await mkdir(join(workspace, "packages/embedded"), { recursive: true })
    await cp(join(repository, "packages/embedded/package.json"), join(workspace, "packages/embedded/package.json"))
    await symlink(join(repository, "node_modules"), join(workspace, "node_modules"))
    const project = join(root, "project")
    const modules = join(project, "node_modules")
    await mkdir(modules, { recursive: true })
    const wanted = Object.fromEntries(Object.keys(packages).map((name) => [name, "*"]))
    await writeFile(
      join(project, "package.json"),
      JSON.stringify({ name: "scratch", type: "module", dependencies: { ...wanted, effect: "*" } })
    )
    await symlink(join(repository, "node_modules/effect"), join(modules, "effect"))
    for (const [name, folder] of Object.entries(packages)) {
      await install(name, join(workspace, folder), modules)
      await link(join(repository, folder), packages, modules)
    }
    return {
      write: (name, text) => writeFile(join(project, name), text),
      read: (name) => readFile(join(project, name), "utf8"),
      check: (...files) => run(project, tsc, ...strict, ...files),
      run: (file, ...flags) => run(project, process.execPath, ...flags, file),
      start: (program, ...args) => run(project, program, ...args),
      [Symbol.asyncDispose]: dispose
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

const tsc = join(repository, "node_modules/.bin/tsc")
const strict = [
  ..."--noEmit --strict --exactOptionalPropertyTypes --target es2024 --lib es2024,dom,esnext.disposable".split(" "),
  ..."--module nodenext --allowImportingTsExtensions --skipLibCheck false --types".split(" "),
  ""
]

const install = async (name: string, folder: string, modules: string): Promise<void> => {
  await done(run(folder, tsc, "-p", "tsconfig.build.json"))
  await done(run(folder, "pnpm", "pack", "--pack-destination", folder))
  const archive = (await readdir(folder)).find((file) => file.endsWith(".tgz"))
  if (archive === undefined) throw new Error(`pnpm packed nothing in ${folder}`)
  const target = join(modules, name)
  await mkdir(target, { recursive: true })
  await done(run(folder, "tar", "-xzf", archive, "-C", target, "--strip-components=1"))
}

/** What a package needs of others, as the repository has it installed. */
const link = async (folder: string, packages: { readonly [name: string]: string }, modules: string): Promise<void> => {
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as {
    readonly dependencies?: { readonly [name: string]: string }
  }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (name in packages || existsSync(join(modules, name))) continue
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(folder, "node_modules", name), join(modules, name))
  }
}

const done = async (running: Promise<Ended>): Promise<void> => {
  const { code, output } = await running
  if (code !== 0) throw new Error(output)
}

const run = (cwd: string, program: string, ...args: ReadonlyArray<string>): Promise<Ended> =>
  new Promise((settle, fail) => {
    const { NODE_OPTIONS: _, ...env } = process.env
    execFile(program, args, { cwd, env, timeout: 60_000 }, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`
      if (error === null) settle({ code: 0, output })
      else if (typeof error.code === "number") settle({ code: error.code, output })
      else fail(new Error(`${program} ${args.join(" ")}: ${error.message}\n${output}`, { cause: error }))
    })
  })
