-- A row that somebody has locked, such as a transaction of a handler that takes its time, does not hold up the others: it is
-- taken or given back at the next look.

create function troupe.take_v3(_consumer int, _p int[], _host uuid, _contract int)
returns table (p int, token uuid, epoch bigint, n bigint, pos bigint, cursors text)
language plpgsql as $$
declare
  free int[];
  taken int[];
begin
  select array_agg(l.p) into free from (
    select t.p from troupe.partition t
     where t.consumer = _consumer and t.p = any (_p) order by t.p for update of t skip locked) l;
  with updated as (
    update troupe.partition t
       set token = gen_random_uuid(), epoch = t.epoch + 1, host = _host, contract = _contract
     where t.consumer = _consumer and t.p = any (free) and t.contract <= _contract
       and (t.host is null or t.host = _host or t.host not in (select l.id from troupe.living_v1() l))
    returning t.p
  ) select array_agg(u.p) into taken from updated u;
  -- A statement of its own: it sees the marks of whoever had the lock before.
  return query
    select t.p, t.token, t.epoch, coalesce(m.n, 0), coalesce(m.pos, 0), coalesce(m.cursors, '{}')
      from troupe.partition t
      left join lateral (select x.n, x.pos, x.cursors from troupe.mark x
                          where x.consumer = t.consumer and x.p = t.p order by x.n desc limit 1) m on true
     where t.consumer = _consumer and t.p = any (taken) order by t.p;
end $$;

create function troupe.release_v2(_consumer int[], _p int[], _token uuid[]) returns void language plpgsql as $$
begin
  with free as (
    select t.consumer, t.p from troupe.partition t
      join unnest(_consumer, _p, _token) as r(consumer, p, token)
        on t.consumer = r.consumer and t.p = r.p and t.token = r.token
     order by t.consumer, t.p for update of t skip locked
  ) update troupe.partition t set token = null, host = null
      from free where t.consumer = free.consumer and t.p = free.p;
  if found then perform pg_notify('troupe_ownership', ''); end if;
end $$;
