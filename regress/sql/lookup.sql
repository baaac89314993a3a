-- Where a build side has few keys and the probe side an index on them, the scan looks at no other rows.
create table few (
    k int, k2 int2, k8 int8, t text, v varchar(20), c char(8), d date, ts timestamp, tz timestamptz, n numeric(10, 2),
    u uuid, o oid);
create table many (like few, id int not null, z int, filler text) with (fillfactor = 70);
create function value_of(i int) returns few language sql immutable as $$
    select row(i, i % 30000, i, 'text ' || i, 'varying ' || i, 'c' || i, date '2020-01-01' + i, timestamp '2020-01-01' + i * interval '1 s',
               timestamptz '2020-01-01 00:00+00' + i * interval '1 min', i / 4.0, md5(i::text)::uuid, i)::few $$;
insert into many
select (value_of(case when i % 10 = 0 then null else i % 4000 end)).*, i, i % 3, repeat('x', 60)
  from generate_series(1, 20000) i;
insert into few select (value_of(i)).* from (values (5), (3999), (77), (77), (null), (100000), (1234)) v (i);
-- values that are like no others
insert into many (k, n, d, ts, id) values (-2147483648, 'NaN', 'infinity', '-infinity', 30001), (2147483647, -0.01, '-infinity', 'infinity', 30003);
insert into few (k, n, d, ts) values (-2147483648, 'NaN', 'infinity', '-infinity'), (2147483647, -0.01, '-infinity', 'infinity');
do $$
declare
    name text;
begin
    foreach name in array array['k', 'k2', 'k8', 't', 'v', 'c', 'd', 'ts', 'tz', 'n', 'u', 'o'] loop
        execute format('create index on many (%I, z)', name);
    end loop;
end $$;
analyze few;
analyze many;

-- does the query look keys up, with the leader alone?
create function looks_up(query text) returns boolean language plpgsql as $$
declare
    plan jsonb;
begin
    perform set_config('max_parallel_workers_per_gather', '0', true);
    execute 'explain (analyze, costs off, format json) ' || query into plan;
    return jsonb_path_exists(plan, 'strict $.**."Pages Found by Index"');
end $$;

-- types
select name, c.*, looks_up(q)
  from unnest(array['k', 'k2', 'k8', 't', 'v', 'c', 'd', 'ts', 'tz', 'n', 'u', 'o']) name,
       format('select m.*, f.k as fk from many m join few f on m.%1$I = f.%1$I', name) q, compare(q) c;

-- kinds of joins, more keys, conditions, several build sides
select what, c.*, looks_up(q)
  from (values
    ('semi', 'select m.* from many m where exists (select from few f where f.k = m.k)'),
    ('semi, built', 'select f.* from few f where exists (select from many m where f.k = m.k)'),
    ('anti', 'select m.* from many m where not exists (select from few f where f.k = m.k)'),
    ('anti, built', 'select f.* from few f where not exists (select from many m where f.k = m.k)'),
    ('left', 'select f.k, m.id from few f left join many m on f.k = m.k'),
    ('left, of the many', 'select f.k, m.id from many m left join few f on f.k = m.k'),
    ('full', 'select f.k, m.id from many m full join few f on f.k = m.k'),
    ('two keys', 'select f.k, m.id from many m join few f on f.k = m.k and f.d = m.d'),
    ('a key and a condition', 'select f.k, m.id from many m join few f on f.k = m.k and f.d < m.d + m.z'),
    ('a condition', 'select f.k, m.id from many m join few f on f.k = m.k where m.z = 1 and m.filler like ''x%'''),
    ('no match', 'select f.k, m.id from many m join few f on f.k = m.k where f.k = 100000'),
    ('nothing built', 'select f.k, m.id from many m join few f on f.k = m.k where f.k between 500000 and 600000'),
    ('another type', 'select f.k, m.id from many m join few f on f.k8 = m.k'),
    ('two build sides', 'select f.k, m.id from many m join few f on f.k = m.k join few g on g.d = m.d'),
    ('grouped', 'select m.k, count(*), sum(m.n) from many m join few f on f.k = m.k group by m.k'),
    ('of a join', 'select m.id, l.id as lid from many m join few f on f.k = m.k join many l on l.k2 = m.k2 and l.z = m.z')
  ) v (what, q), compare(q) c;

-- conditions that may raise meet all rows, as in PostgreSQL's scan
select looks_up('select m.id from many m join few f on f.k = m.k where 6 / (m.z + 1) > 1');

-- too many keys, and the switch
select looks_up('select m.id from many m join (select distinct k from many where z = 1) f on f.k = m.k'), c.*
  from compare('select m.id from many m join (select distinct k from many where z = 1) f on f.k = m.k') c;
set enable_indexscan = off;
select looks_up('select m.id from many m join few f on f.k = m.k');
reset enable_indexscan;

-- rows that have moved: HOT or not, dead, of a transaction that was rolled back, of this one
create function states() returns table (what text, rows bigint, leader text, workers text, looks_up boolean)
language sql as $$
    select what, c.*, looks_up(q)
      from (values ('rows', 'select m.id, m.k, m.filler, f.t from many m join few f on f.k = m.k'),
                   ('keys', 'select m.id, m.k, m.filler, f.t from many m join few f on f.t = m.t')) v (what, q), compare(q) c $$;
update many set filler = 'hot' where id % 3 = 0;
select * from states();
update many set filler = 'hot again', k = k where id % 6 = 0;
update many set k = k + 1 where id % 7 = 0;
delete from many where id % 11 = 0;
select * from states();
begin;
update many set filler = 'gone' where id % 2 = 0;
update many set k = 5 where k = 77;
rollback;
select * from states();
begin;
update many set filler = 'mine' where id % 2 = 0;
update many set k = 5 where k = 77;
insert into many (k, t, id) values (77, 'text 77', 900000), (5, 'text 5', 900001);
select * from states();
savepoint s;
delete from many where k = 5;
select * from states();
rollback to s;
select * from states();
commit;
vacuum (freeze) many;
select * from states();
alter table many add added int default 7;
insert into many (k, t, id) values (77, 'text 77', 900002);
select c.*, looks_up(q)
  from (values ('select m.id, m.added, f.t from many m join few f on f.k = m.k')) v (q), compare(q) c;

-- indexes that will not do: partial, of an expression, of another order, not of the first column, invalid
create table odd (id int, k int, t text, filler text);
insert into odd select i, i % 1000, case i % 3 when 0 then 'Text ' else 'text ' end || i % 1000, repeat('y', 80) from generate_series(1, 10000) i;
create index odd_partial on odd (k) where id > 0;
create index odd_expression on odd ((k + 0));
create index odd_second on odd (id, k);
create index odd_hash on odd using hash (k);
create index odd_pattern on odd (t text_pattern_ops);
\set VERBOSITY terse
create unique index concurrently odd_invalid on odd (k);
\set VERBOSITY default
analyze odd;
select looks_up('select o.id from odd o join few f on o.k = f.k'), looks_up('select o.id from odd o join few f on o.t = f.t');
drop index odd_invalid;
-- and those that do: descending, including others, of another collation
create index odd_down on odd (k desc nulls last) include (filler);
create index odd_posix on odd (t collate "POSIX");
select c.*, looks_up(q)
  from (values ('select o.id from odd o join few f on o.k = f.k'), ('select o.id from odd o join few f on o.t = f.t')) v (q),
       compare(q) c;
-- HOT chains that are broken as the new index sees it: not in the transaction that makes it
begin;
update odd set k = k + 1 where id % 5 = 0;
drop index odd_down;
create index odd_new on odd (k);
select c.* from compare('select o.id, o.k from odd o join few f on o.k = f.k') c;
rollback;

-- a table that an index reads far more cheaply than a scan is PostgreSQL's to read, in the leader
create index odd_id on odd (id);
explain (costs off) select o.k, m.id from odd o join many m on m.k = o.k where o.id between 5 and 8;
select c.*, looks_up(q)
  from (values ('select o.k, m.id from odd o join many m on m.k = o.k where o.id between 5 and 8')) v (q), compare(q) c;

-- partitions and children, each with its own index or none, and its own order of columns
create table divided (id int, k int, filler text) partition by range (id);
create table divided_1 partition of divided for values from (0) to (5000);
create table divided_2 (filler text, gone int, k int, id int);
alter table divided_2 drop column gone;
alter table divided attach partition divided_2 for values from (5000) to (10000);
create table divided_3 partition of divided for values from (10000) to (15000);
insert into divided select i, i % 1000, repeat('z', 80) from generate_series(0, 14999) i;
create index on divided_1 (k);
create index on divided_2 (k);
analyze divided;
select c.*, looks_up(q) from (values ('select p.*, f.t from divided p join few f on p.k = f.k')) v (q), compare(q) c;

-- rows that a serializable transaction has not read do not conflict less: the whole table counts as read
begin isolation level serializable;
select count(*) from many m join few f on f.k = m.k;
select count(*) > 0 as whole_table from pg_locks where mode = 'SIReadLock' and locktype = 'relation' and relation = 'many'::regclass;
rollback;

-- a parameter changes the keys from one execution to the next
select prepared_agrees('(int)', 'select m.id, f.t from many m join few f on f.k = m.k and f.k > $1', '0', '100', '5000', 'null');

drop function states, looks_up, value_of;
drop table few, many, odd, divided;
