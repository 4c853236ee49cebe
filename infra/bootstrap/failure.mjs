/** A failure that a person can act on: `code what happened · to what · why · what to do`. */
export class Failure extends Error {
  constructor(code, happened, what, why, todo) {
    super(`${code} ${[happened, what, why, todo].map((part) => part.trim()).join(" · ")}`)
  }
}

/** Turns what a file system call threw into a Failure; `todo` names the way out. */
export const ofFileSystem = (error, path) =>
  error.code === "ENOSPC" || error.code === "EDQUOT"
    ? new Failure(
        "TRP0005",
        "no space left",
        `on the disk of ${path}`,
        error.code,
        "free at least 500 MB, or set TROUPE_CACHE to a folder on another disk"
      )
    : new Failure(
        "TRP0005",
        "could not write",
        `to ${path}`,
        `${error.code ?? error.message}`,
        "make that folder writable for you, or set TROUPE_CACHE to one that is"
      )

// Addresses stay out of messages: a registry may be private.
const withoutAddresses = (text) =>
  text
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, "<address>")
    .replace(/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)\s+\S+/g, "$1")

const causes = [
  [/ENOSPC|EDQUOT/, "the disk is full", "free at least 500 MB, or set TROUPE_CACHE to a folder on another disk"],
  [
    /EACCES|EPERM|EROFS/,
    "a file or folder may not be written",
    "make the clone and the cache folder writable for you, or set TROUPE_CACHE"
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ENETUNREACH|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ERR_SOCKET_TIMEOUT|ERR_PNPM_META_FETCH_FAIL/,
    "the package registry cannot be reached",
    "check the network, the proxy and `npm config get registry`, then run it again"
  ],
  [
    /E401|E403|ERR_PNPM_FETCH_40[13]/,
    "the package registry refused",
    "check the login and the rights for the registry in your .npmrc"
  ],
  [
    /E404|ETARGET|ERR_PNPM_FETCH_404|ERR_PNPM_NO_MATCHING_VERSION/,
    "the package registry does not have it",
    "use a registry that mirrors npm completely"
  ],
  [
    /CERT_|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    "the registry's certificate is not trusted",
    "set NODE_EXTRA_CA_CERTS to your company's certificates"
  ],
  [
    /ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE_CONFIG_MISMATCH|ERR_PNPM_NO_LOCKFILE/,
    "pnpm-lock.yaml does not fit the package.json files",
    "run `pnpm install` and commit pnpm-lock.yaml"
  ],
  [
    /EINTEGRITY|ERR_PNPM_TARBALL_INTEGRITY/,
    "a download does not have the expected checksum",
    "run it again; if it stays, something between here and the registry changes packages"
  ]
]

/** Why an npm or pnpm run failed, from what it printed: [why, what to do]. */
export const explain = (output, code) => {
  for (const [pattern, why, todo] of causes) {
    const found = pattern.exec(output)
    if (found) return [`${why} (${found[0]})`, todo]
  }
  const lines = withoutAddresses(output)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /err|fail|×|╰/i.test(line))
  return [
    lines.slice(0, 3).join("; ").slice(0, 300) || `it ended with ${code} and said nothing`,
    "run it again; if it stays, report it with this line"
  ]
}
