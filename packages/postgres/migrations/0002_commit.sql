-- What waits in Postgres for its time, and how a dead letter comes back.

-- Room on the page for the next version of a row: an update that finds it touches no index.
alter table troupe.state set (fillfactor = 80);

-- Of the messages of a parked key only the first has a time; those behind it wait for it (infinity).
create index parked_due on troupe.parked (consumer, p, due) where due < 'infinity';

-- A redriven message has a new id; this is the one it had first.
alter table troupe.dead add column origin text;
alter table troupe.parked add column origin text;
-- What became of a wish.
alter table troupe.wish add column result text;
create index wish_open on troupe.wish (consumer, p, id) where done is null;

-- Commits the staged work of any number of partitions, in one round trip. A partition is written as consumer * 4096 + p.
-- Returns those that passed the fence; with a minus sign those of which a message was handled before. Of a partition that
-- is not returned, or with a minus sign, nothing is written. Every group of arrays is one table's rows; what is staged
-- seldom is in `more`, an object of arrays of rows, or null.
create function troupe.commit_v2(
  f_cp int[], f_token uuid[], f_n bigint[], f_pos bigint[], f_cursors text[],
  i_cp int[], i_id uuid[], i_outcome text[], i_body text[], i_hash text[],
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
      insert into troupe.inbox (slot, consumer, p, id, outcome, body, hash)
        select troupe.inbox_slot(now()), i.cp >> 12, i.cp & 4095, i.id, i.outcome, i.body, i.hash
          from unnest(i_cp, i_id, i_outcome, i_body, i_hash) as i(cp, id, outcome, body, hash) where i.cp = any (ok);
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

-- The rest of commit_v2, under its fence.
create function troupe.commit_more_v2(ok int[], more json) returns void language plpgsql as $$
declare
  staged bigint;
  written bigint;
begin
  if more->'watermarks' is not null then
    insert into troupe.watermark as t (consumer, p, stream, pos, sequence, created)
      select w.cp >> 12, w.cp & 4095, w.stream, w.pos, w.sequence, w.created
        from json_to_recordset(more->'watermarks') as w(cp int, stream text, pos bigint, sequence bigint, created text)
       where w.cp = any (ok)
      on conflict (consumer, p, stream) do update
        set pos = excluded.pos, sequence = excluded.sequence, created = excluded.created where t.pos < excluded.pos;
  end if;

  if more->'adopted' is not null then
    select count(*) into staged from json_to_recordset(more->'adopted') as e(cp int) where e.cp = any (ok);
    delete from troupe.enqueued t using json_to_recordset(more->'adopted') as e(cp int, id bigint)
     where t.id = e.id and e.cp = any (ok);
    get diagnostics written = row_count;
    if written <> staged then
      raise exception 'enqueued messages were adopted by somebody else: % of %', written, staged using errcode = 'TR001';
    end if;
  end if;

  if more->'dead' is not null then
    insert into troupe.dead (consumer, p, key, message_id, origin, stream, sequence, subject, headers, body, code, reason)
      select d.cp >> 12, d.cp & 4095, d.key, d.message, d.origin, d.stream, d.sequence, d.subject, d.headers,
             decode(d.body, 'base64'), d.code, d.reason
        from json_to_recordset(more->'dead') as d(cp int, key text, message text, origin text, stream text, sequence bigint,
             subject text, headers text, body text, code text, reason text)
       where d.cp = any (ok);
  end if;
  if more->'undead' is not null then
    delete from troupe.dead t using json_to_recordset(more->'undead') as d(cp int, id bigint)
     where t.id = d.id and t.consumer = d.cp >> 12 and t.p = d.cp & 4095 and d.cp = any (ok);
  end if;
  if more->'wishes' is not null then
    update troupe.wish t set done = now(), result = w.result
      from json_to_recordset(more->'wishes') as w(cp int, id bigint, result text)
     where t.id = w.id and t.consumer = w.cp >> 12 and t.p = w.cp & 4095 and w.cp = any (ok);
  end if;

  -- A key's delay is in ms from now, by Postgres' clock; none: behind another message of its key.
  if more->'unparked' is not null then
    delete from troupe.parked t using json_to_recordset(more->'unparked') as u(cp int, key text, n bigint)
     where t.consumer = u.cp >> 12 and t.p = u.cp & 4095 and t.key = u.key and t.n = u.n and u.cp = any (ok);
  end if;
  if more->'parked' is not null then
    insert into troupe.parked (consumer, p, key, n, message_id, origin, stream, sequence, subject, headers, body, attempts, due, code, reason)
      select k.cp >> 12, k.cp & 4095, k.key, k.n, k.message, k.origin, k.stream, k.sequence, k.subject, k.headers,
             decode(k.body, 'base64'), k.attempts, troupe.due(k.delay), k.code, k.reason
        from json_to_recordset(more->'parked') as k(cp int, key text, n bigint, message text, origin text, stream text,
             sequence bigint, subject text, headers text, body text, attempts int, delay double precision, code text, reason text)
       where k.cp = any (ok);
  end if;
  if more->'retried' is not null then
    update troupe.parked t set attempts = r.attempts, due = troupe.due(r.delay), code = r.code, reason = r.reason
      from json_to_recordset(more->'retried') as r(cp int, key text, n bigint, attempts int, delay double precision, code text, reason text)
     where t.consumer = r.cp >> 12 and t.p = r.cp & 4095 and t.key = r.key and t.n = r.n and r.cp = any (ok);
  end if;

  -- First what fired or was cancelled: a turn that a timer started may set it again.
  if more->'cleared' is not null then
    delete from troupe.timer t using json_to_recordset(more->'cleared') as x(cp int, key text, name text)
     where t.consumer = x.cp >> 12 and t.key = x.key and t.name = x.name and x.cp = any (ok);
  end if;
  if more->'timers' is not null then
    insert into troupe.timer as t (consumer, p, key, name, due, id, stream, subject, headers, body)
      select s.cp >> 12, s.cp & 4095, s.key, s.name, troupe.due(s.delay), s.id, s.stream, s.subject, s.headers, s.body
        from json_to_recordset(more->'timers') as s(cp int, key text, name text, delay double precision, id uuid,
             stream text, subject text, headers text, body text)
       where s.cp = any (ok)
      on conflict (consumer, key, name) do update set p = excluded.p, due = excluded.due, id = excluded.id,
        stream = excluded.stream, subject = excluded.subject, headers = excluded.headers, body = excluded.body;
  end if;
end $$;

-- A time from a delay in ms; none is never.
create function troupe.due(delay double precision) returns timestamptz language sql volatile as
$$ select case when delay is null then 'infinity' else clock_timestamp() + make_interval(secs => delay / 1000) end $$;
