create table app.total (
  key text primary key,
  added integer not null
);
