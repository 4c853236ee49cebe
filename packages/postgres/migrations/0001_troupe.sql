-- The schema of one service. PostgreSQL 15 or newer.
-- Payloads, states and replies are text, never jsonb: jsonb refuses \u0000, and a valid message would become poison.
-- A key is stored as its subject token (percent-encoded ASCII), compared byte by byte.

-- Small integers for the names of consumers: `orders.Order`, `shipping.fulfilment`, `orders.outbox`.
create table troupe.consumer (
  id int generated always as identity primary key,
  name text not null unique,
  partitions int not null check (partitions > 0 and partitions & (partitions - 1) = 0 and partitions <= 4096),
  generation int not null default 1
);

-- One row per process that runs consumers.
create table troupe.host (
  id uuid primary key,
  name text not null,
  contract int not null,
  started timestamptz not null default now(),
  heartbeat timestamptz not null default now()
);

-- Who owns what. `token` is new with every take-over and is what a commit must show; `epoch` counts take-overs for people.
create table troupe.partition (
  consumer int not null references troupe.consumer,
  p int not null,
  token uuid,
  epoch bigint not null default 0,
  host uuid,
  primary key (consumer, p)
) with (fillfactor = 50);

-- Cursors, appended and not updated: under an old snapshot an updated row becomes a chain that every commit must walk.
-- n is the number of the commit; cursors is {"<stream>": {"seq": .., "id": ".."}}; pos is the last position given out.
create table troupe.mark (
  consumer int not null,
  p int not null,
  n bigint not null,
  pos bigint not null,
  cursors text not null,
  at timestamptz not null default now(),
  primary key (consumer, p, n)
);

create table troupe.state (
  consumer int not null,
  key text collate "C" not null,
  p int not null,
  version bigint not null,
  shape int not null,
  body text not null,
  primary key (consumer, key)
);

-- What was handled, and how it was answered. Kept 7 days in a ring of 16 slots of 12 hours.
create table troupe.inbox (
  slot int not null,
  consumer int not null,
  p int not null,
  id uuid not null,
  outcome text,
  body text,
  hash text,
  at timestamptz not null default now(),
  -- By id first: a host looks up the messages of all its partitions at once.
  primary key (id, consumer, p, slot)
) partition by list (slot);

-- What is to be published, in the order of pos. Kept for an hour after it was relayed, in a ring of 12 slots of 10 minutes.
create table troupe.outbox (
  slot int not null,
  consumer int not null,
  p int not null,
  pos bigint not null,
  stream text collate "C" not null,
  id uuid not null,
  subject text not null,
  headers text not null,
  body text not null,
  at timestamptz not null default now(),
  primary key (consumer, p, stream, pos, slot)
) partition by list (slot);

do $$ begin
  for i in 0..15 loop
    execute format('create table troupe.inbox_%s partition of troupe.inbox for values in (%s)', i, i);
  end loop;
  for i in 0..11 loop
    execute format('create table troupe.outbox_%s partition of troupe.outbox for values in (%s)', i, i);
  end loop;
end $$;

create function troupe.inbox_slot(at timestamptz) returns int language sql immutable parallel safe
  return (floor(extract(epoch from at) / 43200)::bigint % 16)::int;
create function troupe.outbox_slot(at timestamptz) returns int language sql immutable parallel safe
  return (floor(extract(epoch from at) / 600)::bigint % 12)::int;

-- Commands of plain transactions, waiting for the consumer `outbox` to adopt them. `hash` is FNV-1a of the key's token:
-- plain code does not know the partition count; the partition is hash modulo it.
create table troupe.enqueued (
  id bigint generated always as identity primary key,
  hash bigint not null,
  key text collate "C" not null,
  message_id uuid not null,
  stream text not null,
  subject text not null,
  headers text not null,
  body text not null,
  at timestamptz not null default now()
);

-- How far a stream has what (consumer, p) put into the outbox for it, the stream's sequence there, and when that stream
-- was created: a lane that retention emptied is told from one that was lost.
create table troupe.watermark (
  consumer int not null,
  p int not null,
  stream text not null,
  pos bigint not null,
  sequence bigint not null,
  created text not null,
  primary key (consumer, p, stream)
);

create table troupe.timer (
  consumer int not null,
  p int not null,
  key text collate "C" not null,
  name text not null,
  due timestamptz not null,
  id uuid not null,
  stream text not null,
  subject text not null,
  headers text not null,
  body text not null,
  primary key (consumer, key, name)
);
create index timer_due on troupe.timer (consumer, p, due);

create table troupe.parked (
  consumer int not null,
  p int not null,
  key text collate "C" not null,
  n bigint not null,
  message_id text not null,
  stream text not null,
  sequence bigint not null,
  subject text not null,
  headers text not null,
  body bytea not null,
  attempts int not null,
  due timestamptz not null,
  code text not null,
  reason text not null,
  primary key (consumer, p, key, n)
);

-- Messages that were given up, whole, and why.
create table troupe.dead (
  id bigint generated always as identity primary key,
  consumer int not null,
  p int not null,
  key text,
  message_id text,
  stream text not null,
  sequence bigint not null,
  subject text not null,
  headers text not null,
  body bytea not null,
  code text not null,
  reason text not null,
  at timestamptz not null default now()
);

-- What an operator asked for; the owner of the partition does it under its fence.
create table troupe.wish (
  id bigint generated always as identity primary key,
  consumer int not null,
  p int not null,
  kind text not null,
  dead bigint not null,
  by text not null,
  at timestamptz not null default now(),
  done timestamptz
);

-- Takes partitions unconditionally: a new token each, and the newest mark.
create function troupe.take_v1(_consumer int, _p int[], _host uuid)
returns table (p int, token uuid, epoch bigint, n bigint, pos bigint, cursors text)
language plpgsql as $$
begin
  -- Locked in order, so that two hosts that take the same partitions cannot deadlock.
  perform 1 from troupe.partition t where t.consumer = _consumer and t.p = any (_p) order by t.p for update of t;
  update troupe.partition t set token = gen_random_uuid(), epoch = t.epoch + 1, host = _host
   where t.consumer = _consumer and t.p = any (_p);
  return query
    select t.p, t.token, t.epoch, coalesce(m.n, 0), coalesce(m.pos, 0), coalesce(m.cursors, '{}')
      from troupe.partition t
      left join lateral (select x.n, x.pos, x.cursors from troupe.mark x
                          where x.consumer = t.consumer and x.p = t.p order by x.n desc limit 1) m on true
     where t.consumer = _consumer and t.p = any (_p) order by t.p;
end $$;

-- The fence. First lock the rows whose token is mine, in order; then, in a statement of its own and so on a fresh
-- snapshot, keep those whose newest mark is the one I expect. In one statement a second committer that waited for the
-- lock would pass on its old snapshot. A partition is written as consumer * 4096 + p.
create function troupe.fence_v1(_c int[], _p int[], _token uuid[], _n bigint[]) returns bigint[] language plpgsql as $$
declare ok bigint[];
begin
  perform 1 from troupe.partition t
    join unnest(_c, _p, _token) as f(c, p, token) on t.consumer = f.c and t.p = f.p and t.token = f.token
   order by t.consumer, t.p for no key update of t;
  select coalesce(array_agg(f.c::bigint * 4096 + f.p), '{}') into ok
    from unnest(_c, _p, _token, _n) as f(c, p, token, n)
    join troupe.partition t on t.consumer = f.c and t.p = f.p and t.token = f.token
   where f.n = coalesce((select m.n from troupe.mark m where m.consumer = f.c and m.p = f.p order by m.n desc limit 1), 0);
  return ok;
end $$;

-- Commits the staged work of any number of partitions, in one round trip, and returns those that passed the fence, as
-- consumer * 4096 + p; of a refused partition nothing is written. Every group of arrays is one table's rows.
create function troupe.commit_v1(
  f_c int[], f_p int[], f_token uuid[], f_n bigint[], f_pos bigint[], f_cursors text[],
  i_c int[], i_p int[], i_id uuid[], i_outcome text[], i_body text[], i_hash text[],
  s_c int[], s_p int[], s_key text[], s_version bigint[], s_shape int[], s_body text[],
  o_c int[], o_p int[], o_pos bigint[], o_stream text[], o_id uuid[], o_subject text[], o_headers text[], o_body text[],
  d_c int[], d_p int[], d_key text[], d_message text[], d_stream text[], d_sequence bigint[], d_subject text[],
  d_headers text[], d_body text[], d_code text[], d_reason text[],
  w_c int[], w_p int[], w_stream text[], w_pos bigint[], w_sequence bigint[], w_created text[],
  e_c int[], e_p int[], e_id bigint[]
) returns bigint[] language plpgsql as $$
declare
  ok bigint[];
  staged bigint;
  written bigint;
begin
  ok := troupe.fence_v1(f_c, f_p, f_token, f_n);
  if ok = '{}' then return ok; end if;

  insert into troupe.mark (consumer, p, n, pos, cursors)
    select f.c, f.p, f.n + 1, f.pos, f.cursors from unnest(f_c, f_p, f_n, f_pos, f_cursors) as f(c, p, n, pos, cursors)
     where f.c::bigint * 4096 + f.p = any (ok);
  delete from troupe.mark m using unnest(f_c, f_p, f_n) as f(c, p, n)
   where m.consumer = f.c and m.p = f.p and m.n = f.n - 1 and f.c::bigint * 4096 + f.p = any (ok);

  if cardinality(i_c) > 0 then
    insert into troupe.inbox (slot, consumer, p, id, outcome, body, hash)
      select troupe.inbox_slot(now()), i.* from unnest(i_c, i_p, i_id, i_outcome, i_body, i_hash) as i(c, p, id, outcome, body, hash)
       where i.c::bigint * 4096 + i.p = any (ok);
  end if;

  if cardinality(s_c) > 0 then
    select count(*) into staged from unnest(s_c, s_p) as s(c, p) where s.c::bigint * 4096 + s.p = any (ok);
    -- A new key starts at version 1, a known one goes on by 1: anything else was loaded from somewhere else.
    with written as (
      insert into troupe.state as t (consumer, p, key, version, shape, body)
        select s.* from unnest(s_c, s_p, s_key, s_version, s_shape, s_body) as s(c, p, key, version, shape, body)
         where s.c::bigint * 4096 + s.p = any (ok) order by s.c, s.key collate "C"
        on conflict (consumer, key) do update
          set version = excluded.version, shape = excluded.shape, body = excluded.body
          where t.version = excluded.version - 1
        returning xmax = 0 as inserted, version
    ) select count(*) into written from written w where not w.inserted or w.version = 1;
    if written <> staged then
      raise exception 'a state was changed by somebody else: % of % written', written, staged using errcode = 'TR001';
    end if;
  end if;

  if cardinality(o_c) > 0 then
    insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
      select troupe.outbox_slot(now()), o.*
        from unnest(o_c, o_p, o_pos, o_stream, o_id, o_subject, o_headers, o_body) as o(c, p, pos, stream, id, subject, headers, body)
       where o.c::bigint * 4096 + o.p = any (ok);
  end if;

  if cardinality(d_c) > 0 then
    insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
      select d.c, d.p, d.key, d.message, d.stream, d.sequence, d.subject, d.headers, decode(d.body, 'base64'), d.code, d.reason
        from unnest(d_c, d_p, d_key, d_message, d_stream, d_sequence, d_subject, d_headers, d_body, d_code, d_reason)
             as d(c, p, key, message, stream, sequence, subject, headers, body, code, reason)
       where d.c::bigint * 4096 + d.p = any (ok);
  end if;

  if cardinality(w_c) > 0 then
    insert into troupe.watermark as t (consumer, p, stream, pos, sequence, created)
      select w.* from unnest(w_c, w_p, w_stream, w_pos, w_sequence, w_created) as w(c, p, stream, pos, sequence, created)
       where w.c::bigint * 4096 + w.p = any (ok)
      on conflict (consumer, p, stream) do update
        set pos = excluded.pos, sequence = excluded.sequence, created = excluded.created where t.pos < excluded.pos;
  end if;

  if cardinality(e_c) > 0 then
    select count(*) into staged from unnest(e_c, e_p) as e(c, p) where e.c::bigint * 4096 + e.p = any (ok);
    delete from troupe.enqueued t using unnest(e_c, e_p, e_id) as e(c, p, id)
     where t.id = e.id and e.c::bigint * 4096 + e.p = any (ok);
    get diagnostics written = row_count;
    if written <> staged then
      raise exception 'enqueued messages were adopted by somebody else: % of %', written, staged using errcode = 'TR001';
    end if;
  end if;

  return ok;
end $$;

-- Writes watermarks of a partition that has nothing else to commit, fenced by its token.
create function troupe.watermark_v1(_c int, _p int, _token uuid, _stream text[], _pos bigint[], _sequence bigint[], _created text[])
returns boolean language plpgsql as $$
begin
  perform 1 from troupe.partition t where t.consumer = _c and t.p = _p and t.token = _token for no key update of t;
  if not found then return false; end if;
  insert into troupe.watermark as t (consumer, p, stream, pos, sequence, created)
    select _c, _p, w.* from unnest(_stream, _pos, _sequence, _created) as w(stream, pos, sequence, created)
    on conflict (consumer, p, stream) do update
      set pos = excluded.pos, sequence = excluded.sequence, created = excluded.created where t.pos < excluded.pos;
  return true;
end $$;
