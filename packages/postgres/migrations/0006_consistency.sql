-- Where the events of a turn that replied stand, so that whoever asks again hears it again: the position of its last one in
-- the lane, 0 when it said none. Null: it did not reply, or code that knows nothing of it committed it by commit_v2.
alter table troupe.inbox add column pos bigint;

-- As commit_v2, with that position.
create function troupe.commit_v3(
  f_cp int[], f_token uuid[], f_n bigint[], f_pos bigint[], f_cursors text[],
  i_cp int[], i_id uuid[], i_outcome text[], i_body text[], i_hash text[], i_pos bigint[],
  s_cp int[], s_key text[], s_version bigint[], s_shape int[], s_body text[],
  o_cp int[], o_pos bigint[], o_stream text[], o_id uuid[], o_subject text[], o_headers text[], o_body text[],
  more json
) returns int[] language plpgsql as $$
declare
  ok int[];
  again int[];
  staged bigint;
  written bigint;
begin
  -- As in fence_v1: first the lock, then, on a snapshot of its own, the newest mark.
  perform 1 from troupe.partition t
    join unnest(f_cp, f_token) as f(cp, token) on t.consumer = f.cp >> 12 and t.p = f.cp & 4095 and t.token = f.token
   order by t.consumer, t.p for no key update of t;
  select coalesce(array_agg(f.cp), '{}') into ok
    from unnest(f_cp, f_token, f_n) as f(cp, token, n)
    join troupe.partition t on t.consumer = f.cp >> 12 and t.p = f.cp & 4095 and t.token = f.token
   where f.n = coalesce((select m.n from troupe.mark m where m.consumer = t.consumer and m.p = t.p order by m.n desc limit 1), 0);
  if ok = '{}' then return ok; end if;

  if cardinality(i_cp) > 0 then
    select coalesce(array_agg(distinct i.cp), '{}') into again
      from troupe.inbox t
      join unnest(i_cp, i_id) as i(cp, id) on i.id = t.id and t.consumer = i.cp >> 12 and t.p = i.cp & 4095
     where t.id = any (i_id);
    if again <> '{}' then
      select coalesce(array_agg(o), '{}') into ok from unnest(ok) o where o <> all (again);
    end if;
  end if;

  if ok <> '{}' then
    insert into troupe.mark (consumer, p, n, pos, cursors)
      select f.cp >> 12, f.cp & 4095, f.n + 1, f.pos, f.cursors
        from unnest(f_cp, f_n, f_pos, f_cursors) as f(cp, n, pos, cursors) where f.cp = any (ok);
    delete from troupe.mark m using unnest(f_cp, f_n) as f(cp, n)
     where m.consumer = f.cp >> 12 and m.p = f.cp & 4095 and m.n = f.n - 1 and f.cp = any (ok);

    if cardinality(i_cp) > 0 then
      insert into troupe.inbox (slot, consumer, p, id, outcome, body, hash, pos)
        select troupe.inbox_slot(now()), i.cp >> 12, i.cp & 4095, i.id, i.outcome, i.body, i.hash, i.pos
          from unnest(i_cp, i_id, i_outcome, i_body, i_hash, i_pos) as i(cp, id, outcome, body, hash, pos)
         where i.cp = any (ok);
    end if;

    if cardinality(s_cp) > 0 then
      select count(*) into staged from unnest(s_cp) as s(cp) where s.cp = any (ok);
      -- A new key starts at version 1, a known one goes on by 1: anything else was loaded from somewhere else.
      with written as (
        insert into troupe.state as t (consumer, p, key, version, shape, body)
          select s.cp >> 12, s.cp & 4095, s.key, s.version, s.shape, s.body
            from unnest(s_cp, s_key, s_version, s_shape, s_body) as s(cp, key, version, shape, body)
           where s.cp = any (ok) order by s.cp, s.key collate "C"
          on conflict (consumer, key) do update
            set version = excluded.version, shape = excluded.shape, body = excluded.body
            where t.version = excluded.version - 1
          returning xmax = 0 as inserted, version
      ) select count(*) into written from written w where not w.inserted or w.version = 1;
      if written <> staged then
        raise exception 'a state was changed by somebody else: % of % written', written, staged using errcode = 'TR001';
      end if;
    end if;

    if cardinality(o_cp) > 0 then
      insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
        select troupe.outbox_slot(now()), o.cp >> 12, o.cp & 4095, o.pos, o.stream, o.id, o.subject, o.headers, o.body
          from unnest(o_cp, o_pos, o_stream, o_id, o_subject, o_headers, o_body)
               as o(cp, pos, stream, id, subject, headers, body)
         where o.cp = any (ok);
    end if;

    if more is not null then perform troupe.commit_more_v2(ok, more); end if;
  end if;
  return ok || array(select -a from unnest(again) a where a = any (f_cp));
end $$;
