-- What a host of shipping may do in its database. After each troupe migrate, as the role that migrates: psql --single-transaction.
do $$ begin
  if not exists (select from pg_roles where rolname = 'shipping') then create role "shipping" login; end if;
  execute format('revoke all on database %I from public', current_database());
  execute format('revoke all on database %I from "shipping"', current_database());
  execute format('grant connect on database %I to "shipping"', current_database());
end $$;
revoke all on schema troupe, app from public;
revoke all on all routines in schema troupe from public;
revoke all on all tables in schema troupe, app from "shipping";
revoke all on all sequences in schema troupe, app from "shipping";
revoke all on all routines in schema troupe, app from "shipping";
revoke all on schema troupe, app from "shipping";

grant usage on schema troupe, app to "shipping";
grant select on troupe.migration to "shipping";
grant select, update on troupe.identity to "shipping";
grant select, insert on troupe.consumer to "shipping";
grant select, insert, update, delete on troupe.host to "shipping";
grant select, insert, update on troupe.partition to "shipping";
grant select, insert, delete on troupe.mark to "shipping";
grant select, insert, update on troupe.state to "shipping";
grant select, insert on troupe.inbox to "shipping";
grant select, insert on troupe.outbox to "shipping";
grant select, insert, delete on troupe.enqueued to "shipping";
grant select, insert, update on troupe.watermark to "shipping";
grant select, insert, update, delete on troupe.timer to "shipping";
grant select, insert, update, delete on troupe.parked to "shipping";
grant select, insert, delete on troupe.dead to "shipping";
grant select, insert, update, delete on troupe.suspect to "shipping";
grant select, update, delete on troupe.wish to "shipping";
grant select, truncate on troupe.inbox_0, troupe.inbox_1, troupe.inbox_2, troupe.inbox_3, troupe.inbox_4, troupe.inbox_5, troupe.inbox_6, troupe.inbox_7, troupe.inbox_8, troupe.inbox_9, troupe.inbox_10, troupe.inbox_11, troupe.inbox_12, troupe.inbox_13, troupe.inbox_14, troupe.inbox_15 to "shipping";
grant select, truncate on troupe.outbox_0, troupe.outbox_1, troupe.outbox_2, troupe.outbox_3, troupe.outbox_4, troupe.outbox_5, troupe.outbox_6, troupe.outbox_7, troupe.outbox_8, troupe.outbox_9, troupe.outbox_10, troupe.outbox_11 to "shipping";
grant select, update on sequence troupe.enqueued_hint to "shipping";
grant execute on all routines in schema troupe to "shipping";
grant select, insert, update, delete on all tables in schema app to "shipping";
grant usage on all sequences in schema app to "shipping";
