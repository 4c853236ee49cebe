import { existsSync } from "node:fs"
import * as Effect from "effect/Effect"
import packed from "@sparticuz/chromium"
import { chromium } from "playwright-core"
import type { Checked, Place } from "./checks.ts"

/** Where it may be installed; else the packed one is unpacked into the folder for temporary files, once. */
const installed = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]
/** As root it has no sandbox, and a container has little shared memory. */
const args = ["--no-sandbox", "--disable-dev-shm-usage"]

/** What a page of Chromium says of the client, and the browser's version. The page and its script come from `place.control`. */
export const check = (
  place: Place
): Effect.Effect<{ readonly checked: ReadonlyArray<Checked>; readonly version: string }> =>
  Effect.scoped(
    Effect.gen(function* () {
      const executablePath =
        installed.find((path) => existsSync(path)) ?? (yield* Effect.promise(() => packed.executablePath()))
      const browser = yield* Effect.acquireRelease(
        Effect.promise(() => chromium.launch({ executablePath, args })),
        (browser) => Effect.promise(() => browser.close())
      )
      return yield* Effect.promise(async () => {
        const page = await browser.newPage()
        await page.goto(`${place.control}/page.html`)
        const checked = await page.evaluate(
          (place) => (globalThis as unknown as { check(place: Place): Promise<ReadonlyArray<Checked>> }).check(place),
          place
        )
        return { checked, version: browser.version() }
      })
    })
  )
