-- Messages that a host had begun and was not seen to finish. A row outlives the host: whoever takes the partition over knows
-- what may have ended it, runs that alone, and gives it up when it ends hosts again and again.
create table troupe.suspect (
  consumer int not null,
  p int not null,
  -- The ce-id, at most 200 characters; "<stream> <sequence>" of a message that has none.
  id text not null,
  -- The host that ran it last.
  host uuid not null,
  -- Who noted it: the owner before it ran ('owner'), or the thread that watches its event loop ('watch').
  noted_by text not null,
  -- Begun, and not known to have ended.
  open boolean not null,
  -- Nothing else of its host ran.
  alone boolean not null,
  -- How often a host ended while it ran alone; at least 2 of one that the watch ended its host for.
  strikes int not null default 0,
  -- Its type and key, for people.
  what text not null,
  at timestamptz not null default now(),
  primary key (consumer, p, id)
);

-- Notes what a host runs. Of partitions that it does not own any more nothing is noted.
create function troupe.suspect_v1(_host uuid, _by text, _cp int[], _id text[], _what text[], _alone boolean, _strikes int)
returns void language sql as $$
  insert into troupe.suspect as s (consumer, p, id, host, noted_by, open, alone, strikes, what)
    select distinct on (t.consumer, t.p, r.id) t.consumer, t.p, r.id, _host, _by, true, _alone, _strikes, r.what
      from unnest(_cp, _id, _what) as r(cp, id, what)
      join troupe.partition t on t.consumer = r.cp >> 12 and t.p = r.cp & 4095 and t.host = _host
     order by t.consumer, t.p, r.id
  on conflict (consumer, p, id) do update
    set host = excluded.host, open = true, alone = excluded.alone, what = excluded.what, at = now(),
        strikes = greatest(s.strikes, excluded.strikes)
$$;

-- What was noted and has ended well.
create function troupe.unsuspect_v1(_host uuid, _by text, _cp int[], _id text[]) returns void language sql as $$
  delete from troupe.suspect s using unnest(_cp, _id) as r(cp, id)
   where s.consumer = r.cp >> 12 and s.p = r.cp & 4095 and s.id = r.id and s.host = _host and s.noted_by = _by
$$;

-- The owner of a partition notes what it is about to run, and forgets what it ran before. False: it owns it no longer.
create function troupe.suspects_of_v1(
  _consumer int, _p int, _token uuid, _done text[], _id text[], _what text[], _alone boolean
) returns boolean language plpgsql as $$
declare
  owner uuid;
begin
  select t.host into owner from troupe.partition t where t.consumer = _consumer and t.p = _p and t.token = _token;
  if not found then return false; end if;
  delete from troupe.suspect s where s.consumer = _consumer and s.p = _p and s.id = any (_done) and s.id <> all (_id);
  insert into troupe.suspect as s (consumer, p, id, host, noted_by, open, alone, what)
    select distinct on (r.id) _consumer, _p, r.id, owner, 'owner', true, _alone, r.what
      from unnest(_id, _what) as r(id, what) order by r.id
  on conflict (consumer, p, id) do update
    set host = excluded.host, noted_by = excluded.noted_by, open = true, alone = excluded.alone, what = excluded.what,
        at = now();
  return true;
end $$;

-- As take_v3; says besides whether the owner before died (`died`), and what is suspected: {"<id>": strikes}. What a dead
-- owner ran alone gets a strike; what a living one had noted when it gave the partition back is forgotten, and so is what
-- nobody met for 7 days: the inbox forgets as well.
create function troupe.take_v4(_consumer int, _p int[], _host uuid, _contract int)
returns table (p int, token uuid, epoch bigint, n bigint, pos bigint, cursors text, died boolean, suspects text)
language plpgsql as $$
declare
  free int[];
  strange int[];
  taken int[];
begin
  select array_agg(l.p), coalesce(array_agg(l.p) filter (where l.host <> _host), '{}') into free, strange from (
    select t.p, t.host from troupe.partition t
     where t.consumer = _consumer and t.p = any (_p) order by t.p for update of t skip locked) l;
  with updated as (
    update troupe.partition t
       set token = gen_random_uuid(), epoch = t.epoch + 1, host = _host, contract = _contract
     where t.consumer = _consumer and t.p = any (free) and t.contract <= _contract
       and (t.host is null or t.host = _host or t.host not in (select l.id from troupe.living_v1() l))
    returning t.p
  ) select array_agg(u.p) into taken from updated u;
  update troupe.suspect s set open = false, strikes = s.strikes + s.alone::int
   where s.consumer = _consumer and s.p = any (taken) and s.p = any (strange) and s.open;
  delete from troupe.suspect s
   where s.consumer = _consumer and s.p = any (taken)
     and (not s.p = any (strange) and s.open and s.strikes = 0 or s.at < now() - interval '7 days');
  -- A statement of its own: it sees the marks of whoever had the lock before.
  return query
    select t.p, t.token, t.epoch, coalesce(m.n, 0), coalesce(m.pos, 0), coalesce(m.cursors, '{}'), t.p = any (strange),
           (select coalesce(json_object_agg(s.id, s.strikes), '{}')::text from troupe.suspect s
             where s.consumer = t.consumer and s.p = t.p)
      from troupe.partition t
      left join lateral (select x.n, x.pos, x.cursors from troupe.mark x
                          where x.consumer = t.consumer and x.p = t.p order by x.n desc limit 1) m on true
     where t.consumer = _consumer and t.p = any (taken) order by t.p;
end $$;
