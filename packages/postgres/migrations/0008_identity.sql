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
