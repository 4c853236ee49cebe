-- Whether a host can work: one that lives but cannot reach the broker gives its partitions to hosts that can.
alter table troupe.host add column able boolean not null default true;

create function troupe.living_v2() returns table (id uuid, contract int, consumers int[], able boolean) language sql volatile as $$
  select l.id, l.contract, l.consumers, h.able from troupe.living_v1() l join troupe.host h on h.id = l.id
$$;
