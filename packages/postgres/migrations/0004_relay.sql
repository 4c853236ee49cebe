-- Writes watermarks of a partition that has nothing else to commit, fenced by its token. One may also go back: when the
-- broker lost what it had acknowledged, everything that is kept is published again.
create function troupe.watermark_v2(_c int, _p int, _token uuid, _stream text[], _pos bigint[], _sequence bigint[], _created text[])
returns boolean language plpgsql as $$
begin
  perform 1 from troupe.partition t where t.consumer = _c and t.p = _p and t.token = _token for no key update of t;
  if not found then return false; end if;
  insert into troupe.watermark as t (consumer, p, stream, pos, sequence, created)
    select _c, _p, w.* from unnest(_stream, _pos, _sequence, _created) as w(stream, pos, sequence, created)
    on conflict (consumer, p, stream) do update
      set pos = excluded.pos, sequence = excluded.sequence, created = excluded.created;
  return true;
end $$;
