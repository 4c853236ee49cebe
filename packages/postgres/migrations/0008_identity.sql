-- Which database this is, and whose. A copy of it, a restored one or a standby, is the same database; one that is made
-- anew is another. The streams of the service say the same id (nats: metadata troupe-database), so that two environments
-- of one service cannot share them unnoticed.
create table troupe.identity (
  one boolean primary key default true check (one),
  id uuid not null default gen_random_uuid(),
  -- None until a host of the service starts.
  service text,
  -- Made by `troupe dev`, which makes databases anew: streams of such a database may be given to the next one.
  development boolean not null default false,
  at timestamptz not null default now()
);
insert into troupe.identity default values;

-- Deletes everything of a consumer that no living host runs, and answers how many rows of which table; none where one does.
create function troupe.remove_consumer_v1(_consumer int) returns text language plpgsql as $$
declare
  _table text;
  _rows bigint;
  removed jsonb := '{}';
begin
  -- Whoever takes a partition locks it first.
  perform 1 from troupe.partition t where t.consumer = _consumer order by t.p for update of t;
  if exists (select from troupe.living_v1() l where _consumer = any (l.consumers)) then return null; end if;
  foreach _table in array array['wish', 'dead', 'parked', 'timer', 'suspect', 'state', 'inbox', 'outbox', 'watermark',
                                'mark', 'partition'] loop
    execute format('delete from troupe.%I where consumer = $1', _table) using _consumer;
    get diagnostics _rows = row_count;
    removed := removed || jsonb_build_object(_table, _rows);
  end loop;
  delete from troupe.consumer c where c.id = _consumer;
  return removed::text;
end $$;
