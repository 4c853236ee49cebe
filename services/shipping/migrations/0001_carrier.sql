create table app.carrier (
  name text primary key,
  from_cents integer not null
);

insert into app.carrier (name, from_cents) values ('post', 0), ('parcel', 5000), ('courier', 20000);
