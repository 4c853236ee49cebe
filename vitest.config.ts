import { defineConfig } from "vitest/config"

const conditions = ["@troupe/source", "module", "node", "development|production"]

const folders = ["packages/*/test", "services/*/test", "services/*/contract/test", "test", "docs"]

const shared = { resolve: { conditions }, ssr: { resolve: { conditions } } }

export default defineConfig({
  ...shared,
  test: {
    // Three workers on two cores: a third of the time tests wait, for timers, leases and elections.
    maxWorkers: 3,
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          include: folders.map((folder) => `${folder}/**/*.test.ts`),
          exclude: ["**/node_modules/**", "**/dist/**", "**/*.integration.test.ts"]
        }
      },
      {
        ...shared,
        test: {
          name: "integration",
          include: folders.map((folder) => `${folder}/**/*.integration.test.ts`),
          exclude: ["**/node_modules/**", "**/dist/**"],
          globalSetup: ["packages/embedded/test/globalSetup.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      }
    ]
  }
})
