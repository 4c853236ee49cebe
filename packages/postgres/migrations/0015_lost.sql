-- Notes that the connection to PostgreSQL was lost in the turn of a message, and answers the strikes of that message. A turn that
-- ran alone gets one, unless whoever took the partition over from a dead host has counted it already.
create function troupe.lost_v1(_consumer int, _p int, _id text, _what text, _alone boolean) returns int
language sql as $$
  insert into troupe.suspect as s (consumer, p, id, host, noted_by, open, alone, strikes, what)
    select t.consumer, t.p, _id, coalesce(t.host, '00000000-0000-0000-0000-000000000000'), 'owner', false, _alone,
           _alone::int, _what
      from troupe.partition t where t.consumer = _consumer and t.p = _p
  on conflict (consumer, p, id) do update
    set open = false, strikes = s.strikes + (s.open and s.alone)::int, at = now()
  returning s.strikes
$$;
