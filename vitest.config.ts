import { defineConfig } from "vitest/config"

const conditions = ["@troupe/source", "module", "node", "development|production"]

const folders = ["packages/*/test", "services/*/test", "services/*/contract/test", "test", "docs"]

const shared = { resolve: { conditions }, ssr: { resolve: { conditions } } }

/** Tests on real servers. */
const servers = (name: "integration" | "long") => ({
  ...shared,
  test: {
    name,
    include: folders.map((folder) => `${folder}/**/*.${name}.test.ts`),
    exclude: ["**/node_modules/**", "**/dist/**"],
    globalSetup: ["packages/embedded/test/globalSetup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})

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
          exclude: ["**/node_modules/**", "**/dist/**", "**/*.integration.test.ts", "**/*.long.test.ts"]
        }
      },
      servers("integration"),
      // Of a minute and more each: set-backs, outages, starvation, clusters of three servers.
      servers("long")
    ]
  }
})
