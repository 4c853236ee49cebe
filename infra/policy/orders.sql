-- What a host of orders may do in its database. After each troupe migrate, as the role that migrates: psql --single-transaction.
do $$ begin
  if not exists (select from pg_roles where rolname = 'orders') then create role "orders" login; end if;
  execute format('revoke all on database %I from public', current_database());
  execute format('revoke all on database %I from "orders"', current_database());
  execute format('grant connect on database %I to "orders"', current_database());
end $$;
revoke all on schema troupe, app from public;
revoke all on all routines in schema troupe from public;
revoke all on all tables in schema troupe, app from "orders";
revoke all on all sequences in schema troupe, app from "orders";
revoke all on all routines in schema troupe, app from "orders";
revoke all on schema troupe, app from "orders";

grant usage on schema troupe, app to "orders";
grant select on troupe.migration to "orders";
grant select, update on troupe.identity to "orders";
grant select, insert on troupe.consumer to "orders";
grant select, insert, update, delete on troupe.host to "orders";
grant select, insert, update on troupe.partition to "orders";
grant select, insert, delete on troupe.mark to "orders";
grant select, insert, update on troupe.state to "orders";
grant select, insert on troupe.inbox to "orders";
grant select, insert on troupe.outbox to "orders";
grant select, insert, delete on troupe.enqueued to "orders";
grant select, insert, update on troupe.watermark to "orders";
grant select, insert, update, delete on troupe.timer to "orders";
grant select, insert, update, delete on troupe.parked to "orders";
grant select, insert, delete on troupe.dead to "orders";
grant select, insert, update, delete on troupe.suspect to "orders";
grant select, update, delete on troupe.wish to "orders";
grant select, truncate on troupe.inbox_0, troupe.inbox_1, troupe.inbox_2, troupe.inbox_3, troupe.inbox_4, troupe.inbox_5, troupe.inbox_6, troupe.inbox_7, troupe.inbox_8, troupe.inbox_9, troupe.inbox_10, troupe.inbox_11, troupe.inbox_12, troupe.inbox_13, troupe.inbox_14, troupe.inbox_15 to "orders";
grant select, truncate on troupe.outbox_0, troupe.outbox_1, troupe.outbox_2, troupe.outbox_3, troupe.outbox_4, troupe.outbox_5, troupe.outbox_6, troupe.outbox_7, troupe.outbox_8, troupe.outbox_9, troupe.outbox_10, troupe.outbox_11 to "orders";
grant select, update on sequence troupe.enqueued_hint to "orders";
grant execute on all routines in schema troupe to "orders";
grant select, insert, update, delete on all tables in schema app to "orders";
grant usage on all sequences in schema app to "orders";
