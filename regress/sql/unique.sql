-- Semi-joins by way of unique rows: the inner side joined first with a part of the outer one, or as the outer one itself.
create table piece (id int, a int, c numeric, t text, d date);
create table place (id int, b int8, n numeric(8, 2), u varchar(10), day timestamp);
create table want (k int, q numeric, t text, f float8, at date);
insert into piece select i, nullif(i % 50, 7), case when i % 31 = 0 then 'NaN' else i % 20 / 2.0 end, 'k' || i % 30, date '2024-01-01' + i % 40
  from generate_series(1, 600) i;
insert into place select i, nullif(i % 60, 8), i % 25 / 2.0, case when i % 9 > 0 then 'k' || i % 70 end, timestamp '2024-01-01' + i % 60 * interval '1 day'
  from generate_series(1, 500) i;
insert into want select nullif(i % 70, 9), case when i % 13 = 0 then 'NaN' else (i % 30 / 2.0)::numeric(8, 3) end, 'k' || i % 45,
       case i % 7 when 0 then 0.0 when 1 then '-0' when 2 then 'NaN' else i % 5 end, date '2024-01-01' + i % 25
  from generate_series(1, 2000) i;
analyze piece, place, want;

-- Which nodes make unique rows.
create function unique_in(query text) returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute 'explain (costs off) ' || query loop
        if line ~ 'Aggregate|Group Key|Join|Nested Loop' then
            return next line;
        end if;
    end loop;
end $$;
set max_parallel_workers_per_gather = 0;
select unique_in('select x.id, y.id from piece x, place y where (x.a, y.b) in (select k, k + 1 from want)');
set max_parallel_workers_per_gather = 2;
select unique_in('select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want)');
reset max_parallel_workers_per_gather;

-- No join of the outer side's tables is worth it, so there is no other order: of one type and of others
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (select k, k + 1 from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.c, y.n) in (select q, q from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.d, y.day) in (select at, at + 1 from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.id, y.id) in (select f, f from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where exists (select from want w where w.k = x.a and w.q + w.f = y.n) $$);
-- expressions of several columns of one row, with conditions that mention them above
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (select k + f::int, k - f::int from want where f <> 'NaN') $$);
-- an expression that PostgreSQL computes; one that may raise
select * from compare($$ select x.id, y.id from piece x, place y where (x.t, y.u) in (select initcap(lower(t)), reverse(t) from want) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (initcap(x.t), y.u) in (select initcap(t), t from want) $$);
select * from compare_outcome($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (select 10 / (k - 3), k from want) $$);
-- the inner side a join; its other columns are equal to those of the key
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select w.k, p.t from want w join piece p on w.k = p.id) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (select w.k, p.a from want w join piece p on w.k = p.a where w.f > 1) $$);
-- with a third table, whose condition comes of the equality
select * from compare($$ select x.id, y.id, z.id from piece x, place y, piece z where z.id = x.a and (x.a, y.u) in (select k, t from want) and z.id < 30 $$);
select * from compare($$ select x.id, y.id from piece x left join piece z on z.id = x.id + 1, place y where (x.a, y.u) in (select k, t from want) and z.a is not null $$);
-- rows of PostgreSQL's plans, none, and NULLs alone
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (values (1, 2), (1, 2), (3, 4), (null, 5), (6, null)) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (with w as materialized (select k, t from want limit 500) select k, t from w) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.b) in (select k, count(*) from want group by k) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want where k < 0) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select null::int, t from want) $$);
-- two of them, and one below what stands on the joins
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want) and (x.c, y.n) in (select q, q from want) $$);
select * from compare($$ select x.a, count(*), sum(y.n) from piece x, place y where (x.a, y.u) in (select k, t from want) group by x.a $$);
select agrees_in_order($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want) order by x.id, y.id limit 50 $$);
-- PostgreSQL's conditions on the joined rows, subqueries there and in the inner side
create function near(int, int8) returns boolean language plpgsql immutable parallel safe as $$ begin return abs($1 - $2) < 300; end $$;
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want) and near(x.id, y.id) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want) and x.id < 60 and x.id < (select avg(id) from place p where p.id = y.id) $$);
select agrees($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from want w where k < 20 and w.f > (select avg(f) from want v where v.k = w.k and v.f < 9)) $$);
-- one-column forms, where a semi-join would do: unique rows first, as they are few
select agrees($$ select x.id from piece x where x.a in (select k from want) $$);
select agrees($$ select x.id, y.id from piece x join place y on y.id = x.id where x.a in (select k from want) $$);
-- as TPC-H asks in its queries 18 and 20
select * from compare($$ select b.id, p.id, sum(l.quantity) from buyer b, purchase p, line l
    where p.id in (select purchase from line group by purchase having sum(quantity) > 100) and b.id = p.buyer and p.id = l.purchase group by b.id, p.id $$);
select * from compare($$ select b.id, n.name from buyer b, nation n where b.nation = n.id and n.region = 2 and b.id in
    (select p.buyer from purchase p where p.id in (select l.purchase from line l where l.flag = 'R') and p.total > (select 0.5 * sum(price) from line m where m.purchase = p.id)) $$);
-- unique by an index: nothing is to do
create table sole (k int primary key, t text);
insert into sole select i, 'k' || i from generate_series(1, 40) i;
analyze sole;
select * from compare($$ select x.id, y.id from piece x, place y where (x.a, y.u) in (select k, t from sole) $$);
-- equal by another collation than the column's
create collation caseless_key (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
select agrees($$ select x.id, y.id from piece x, place y where (upper(x.t) collate caseless_key, y.b) in (select t, k from want) $$);
set joinscan.explain_decline = on;
explain (costs off) select x.id, y.id from piece x, place y where (upper(x.t) collate caseless_key, y.b) in (select t, k from want);
reset joinscan.explain_decline;

-- statistics that lie: PostgreSQL's plan takes over
create table many as select i, i % 3 as k, md5(i::text) as t from generate_series(1, 60000) i;
alter table many alter i set (n_distinct = 3), alter t set (n_distinct = 3);
analyze many;
set work_mem = '64kB';
set hash_mem_multiplier = 1;
select * from compare($$ select x.id, y.id from piece x, place y where (x.id, y.id) in (select i, i from many) $$);
select * from compare($$ select x.id, y.id from piece x, place y where (md5(x.id::text), y.b) in (select t, i from many) $$);
reset work_mem;
reset hash_mem_multiplier;
-- prepared, rescanned with other values
select prepared_agrees('(int)', 'select x.id, y.id from piece x, place y where (x.a, y.u) in (select k + $1, t from want where f < $1)', '1', 'null', '3');
select agrees($$ select s.k, (select count(*) from piece x, place y where (x.a, y.u) in (select k, t from want where k > s.k)) from sole s where s.k < 5 $$);

drop table piece, place, want, sole, many;
drop function unique_in, near;
drop collation caseless_key;
