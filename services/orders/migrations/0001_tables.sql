create table app.overview (
  order_id text primary key,
  customer text,
  cents integer,
  status text not null check (status in ('placed', 'paid', 'shipped', 'cancelled'))
);

-- No unique constraint but the number of the row: what is handled twice must show.
create table app.journal (
  id bigint generated always as identity primary key,
  order_id text not null,
  step text not null,
  lane text not null,
  position bigint not null,
  at timestamptz not null default now()
);
create index journal_order_id on app.journal (order_id);
