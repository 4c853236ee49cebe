type Privilege = "select" | "insert" | "update" | "delete"

/**
 * What a host does with each table of the schema `troupe`, and with the tables of the service's own migrations. A row lock
 * takes `update`, and so does `on conflict do update`.
 */
export const tables: { readonly [table: string]: ReadonlyArray<Privilege> } = {
  migration: ["select"],
  // The first host names its service.
  identity: ["select", "update"],
  consumer: ["select", "insert"],
  host: ["select", "insert", "update", "delete"],
  partition: ["select", "insert", "update"],
  mark: ["select", "insert", "delete"],
  state: ["select", "insert", "update"],
  inbox: ["select", "insert"],
  outbox: ["select", "insert"],
  enqueued: ["select", "insert", "delete"],
  watermark: ["select", "insert", "update"],
  timer: ["select", "insert", "update", "delete"],
  parked: ["select", "insert", "update", "delete"],
  dead: ["select", "insert", "delete"],
  suspect: ["select", "insert", "update", "delete"],
  // Operators insert them: `troupe dead`.
  wish: ["select", "update", "delete"]
}

/** Tables whose slots the pruner looks at and empties; it never deletes a row of them. */
export const slots: { readonly [table: string]: number } = { inbox: 16, outbox: 12 }
