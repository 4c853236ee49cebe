import type { Policy } from "../Policy.ts"

/**
 * Users of one account, for a nats-server's configuration. Their passwords are variables of the configuration or of the
 * server's environment: `ORDERS_NATS_PASSWORD`, and `NATS_PASSWORD` of the user OPERATOR, who may do everything.
 */
export const nats = (policies: ReadonlyArray<Policy>): string =>
  [
    "# Who may publish and subscribe what, compiled from the contracts. Guard rails: see docs/permissions.md.",
    "authorization {",
    "  users: [",
    "    # For people and for what deploys: streams, troupe doctor, troupe dead.",
    "    { user: OPERATOR, password: $NATS_PASSWORD }",
    ...policies.flatMap(({ name, nats }) => [
      "    {",
      `      user: ${JSON.stringify(name)}`,
      `      password: $${variableOf(name)}`,
      "      permissions {",
      `        publish { allow: [${lines(nats.publish)}] }`,
      `        subscribe { allow: [${lines(nats.subscribe)}] }`,
      "      }",
      "    }"
    ]),
    "  ]",
    "}",
    ""
  ].join("\n")

/** The variable with the password of a user. */
export const variableOf = (name: string): string => `${name.toUpperCase().replaceAll("-", "_")}_NATS_PASSWORD`

const lines = (subjects: ReadonlyArray<string>): string =>
  subjects.map((subject) => `\n          ${JSON.stringify(subject)}`).join("") + "\n        "
