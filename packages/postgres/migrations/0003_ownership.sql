-- Who lives, and who owns what. A host lives as long as its control connection holds its advisory lock and its heartbeat is
-- younger than its lease: a process that dies lets go of the lock at once, one that freezes is found by the heartbeat.

-- `consumers`: those that the host runs; none once it is about to end. `lease`: how long its heartbeat counts.
alter table troupe.host add column consumers int[] not null default '{}';
alter table troupe.host add column lease interval not null default '5 seconds';

-- The contract of the owner, or of the last one: older code never takes over from newer code.
alter table troupe.partition add column contract int not null default 0;

-- It took whatever it was asked for, also from a living owner.
drop function troupe.take_v1;

-- The advisory lock of a host.
create function troupe.host_lock(_host uuid) returns bigint language sql immutable
  return hashtextextended(_host::text, 0);

create function troupe.living_v1() returns table (id uuid, contract int, consumers int[]) language sql volatile as $$
  select h.id, h.contract, h.consumers from troupe.host h
   where h.heartbeat + h.lease > clock_timestamp()
     and troupe.host_lock(h.id) in (
       select l.classid::bigint << 32 | l.objid::bigint from pg_locks l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
          and l.database = (select d.oid from pg_database d where d.datname = current_database()))
$$;

-- Takes those of the partitions that are free, its own, or left by a host that is dead, and whose last owner's contract
-- was no newer: a new token each, and the newest mark.
create function troupe.take_v2(_consumer int, _p int[], _host uuid, _contract int)
returns table (p int, token uuid, epoch bigint, n bigint, pos bigint, cursors text)
language plpgsql as $$
declare
  taken int[];
begin
  -- Locked in order, so that two hosts that take the same partitions cannot deadlock.
  perform 1 from troupe.partition t where t.consumer = _consumer and t.p = any (_p) order by t.p for update of t;
  with updated as (
    update troupe.partition t
       set token = gen_random_uuid(), epoch = t.epoch + 1, host = _host, contract = _contract
     where t.consumer = _consumer and t.p = any (_p) and t.contract <= _contract
       and (t.host is null or t.host = _host or t.host not in (select l.id from troupe.living_v1() l))
    returning t.p
  ) select array_agg(u.p) into taken from updated u;
  return query
    select t.p, t.token, t.epoch, coalesce(m.n, 0), coalesce(m.pos, 0), coalesce(m.cursors, '{}')
      from troupe.partition t
      left join lateral (select x.n, x.pos, x.cursors from troupe.mark x
                          where x.consumer = t.consumer and x.p = t.p order by x.n desc limit 1) m on true
     where t.consumer = _consumer and t.p = any (taken) order by t.p;
end $$;

-- Gives partitions back: whoever waits for them is told.
create function troupe.release_v1(_consumer int[], _p int[], _token uuid[]) returns void language plpgsql as $$
begin
  update troupe.partition t set token = null, host = null
    from unnest(_consumer, _p, _token) as r(consumer, p, token)
   where t.consumer = r.consumer and t.p = r.p and t.token = r.token;
  perform pg_notify('troupe_ownership', '');
end $$;

-- NOTIFY takes a lock of the whole server until the commit, so not every transaction that enqueues tells of it: who adopts
-- sets the sequence back when it has nothing to do, and only the first one after that speaks. A hint: one that came while
-- it was set back is found by looking.
create sequence troupe.enqueued_hint;
create function troupe.tell_enqueued() returns trigger language plpgsql as $$
begin
  if nextval('troupe.enqueued_hint') = 1 then perform pg_notify('troupe_enqueued', ''); end if;
  return null;
end $$;
create trigger tell after insert on troupe.enqueued for each statement execute function troupe.tell_enqueued();
