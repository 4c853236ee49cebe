-- Owners count the dead letters of their partitions, which are bounded.
create index dead_of on troupe.dead (consumer, p, id);
