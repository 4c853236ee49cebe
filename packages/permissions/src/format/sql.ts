import * as Grants from "../Grants.ts"
import type { Policy } from "../Policy.ts"

/**
 * The role that the hosts of a service run as, for psql --single-transaction: run by the role that migrates, in the service's database, after
 * each `troupe migrate`. What the role was granted before and no longer needs is taken away. It gets no password here.
 */
export const sql = ({ name }: Policy): string => {
  const role = `"${name}"`
  const inSchema = (privileges: ReadonlyArray<string>, tables: ReadonlyArray<string>) =>
    `grant ${privileges.join(", ")} on ${tables.map((table) => `troupe.${table}`).join(", ")} to ${role};`
  return [
    `-- What a host of ${name} may do in its database. After each troupe migrate, as the role that migrates: psql --single-transaction.`,
    "do $$ begin",
    `  if not exists (select from pg_roles where rolname = '${name}') then create role ${role} login; end if;`,
    "  execute format('revoke all on database %I from public', current_database());",
    `  execute format('revoke all on database %I from ${role}', current_database());`,
    `  execute format('grant connect on database %I to ${role}', current_database());`,
    "end $$;",
    "revoke all on schema troupe, app from public;",
    "revoke all on all routines in schema troupe from public;",
    ...["tables", "sequences", "routines"].map(
      (what) => `revoke all on all ${what} in schema troupe, app from ${role};`
    ),
    `revoke all on schema troupe, app from ${role};`,
    "",
    `grant usage on schema troupe, app to ${role};`,
    ...Object.entries(Grants.tables).map(([table, privileges]) => inSchema(privileges, [table])),
    ...Object.entries(Grants.slots).map(([table, count]) =>
      inSchema(
        ["select", "truncate"],
        Array.from({ length: count }, (_, slot) => `${table}_${slot}`)
      )
    ),
    `grant select, update on sequence troupe.enqueued_hint to ${role};`,
    `grant execute on all routines in schema troupe to ${role};`,
    `grant select, insert, update, delete on all tables in schema app to ${role};`,
    `grant usage on all sequences in schema app to ${role};`,
    ""
  ].join("\n")
}
