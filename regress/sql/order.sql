-- ORDER BY, LIMIT, OFFSET, WITH TIES over joins: the same rows in the same order.
create table many_kinds (
    id int, k int, b bool, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, m numeric(8, 2), t text, v varchar(10), c char(6),
    d date, ts timestamp, iv interval, u uuid, a int[]);
insert into many_kinds
    select i, i % 10, case i % 4 when 0 then true when 1 then false end, i % 13 - 6, (i % 17 - 8) * 1000000007::bigint, (i % 9 - 4) / 4.0, (i % 11 - 5) / 8.0,
           (i % 19 - 9) / 10.0, (i % 23 - 11) / 4.0, substr('aAbBzZäéß日_% ', i % 13 + 1, 1 + i % 3), 'v' || i % 12, 'c' || i % 7, date '2000-01-01' + i % 31 - 15,
           timestamp '2000-01-01' + i % 37 * interval '7 hours', i % 8 * interval '5 hours' - interval '1 day',
           ('00000000-0000-0000-0000-00000000000' || i % 10)::uuid, array[i % 3, i % 5]
      from generate_series(1, 800) i;
insert into many_kinds (id, k, f4, f8, n, m, d, ts, t, c) values
    (1001, 1, 'NaN', 'NaN', 'NaN', 'NaN', 'infinity', 'infinity', '', ''), (1002, 2, 'Infinity', 'Infinity', 'Infinity', 1, '-infinity', '-infinity', ' ', 'a'),
    (1003, 3, '-Infinity', '-Infinity', '-Infinity', 1, '4713-01-01 BC', '4713-01-01 BC', 'a ', 'a '), (1004, 4, '-0', '-0', 0.00, 0, null, null, null, null),
    (1005, 5, '0', '0', 0.0, 0, '5874897-12-31', '294276-12-31 23:59:59.999999', 'a', null),
    (1006, 6, null, 'Infinity'::float8 - 'Infinity', null, null, null, null, null, null);
create table label as select i as k, 'label ' || i % 3 as name, 10 - i as rev from generate_series(0, 9) i;
analyze many_kinds, label;
create function in_order(keys text) returns text language sql as $$
    select agrees_in_order(format('select x.*, y.name, y.rev from many_kinds x join label y on x.k = y.k order by %s', keys))
$$;

-- each type, both ways; the id leaves no choice
select in_order('x.id');
select in_order('x.b, x.id');
select in_order('x.b desc, x.id desc');
select in_order('x.i2, x.id');
select in_order('x.i8 desc, x.id');
select in_order('x.f4, x.id');
select in_order('x.f8 desc, x.id');
select in_order('x.n, x.id');
select in_order('x.n desc, x.id');
select in_order('x.m desc, x.id');
select in_order('x.t, x.id');
select in_order('x.v desc, x.id');
select in_order('x.c, x.id');
select in_order('x.d, x.id');
select in_order('x.ts desc, x.id');
select in_order('x.iv, x.id');
select in_order('x.u, x.a desc, x.id');
-- NULLs
select in_order('x.b nulls first, x.id');
select in_order('x.d desc nulls last, x.id');
select in_order('x.f8 nulls first, x.t desc nulls last, x.id');
-- several keys, of both tables, expressions, places
select in_order('y.name, x.b, x.m desc, x.id');
select in_order('y.rev desc, x.id');
select in_order('x.k + y.rev, x.id % 7, x.id');
select in_order('upper(x.t), -x.f8, coalesce(x.d, date ''2000-01-01''), x.id');
select in_order('2, 1');
select in_order('case when x.b then x.i2 end nulls first, x.id');
select in_order('x.k, x.k desc, x.id');
-- collations
select in_order('x.t collate "C", x.id');
select in_order('x.t collate "POSIX" desc, x.id');
select in_order('x.t collate "ucs_basic", x.v collate "C" desc, x.id');
create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
select in_order('x.t collate "und-x-icu", x.id');
select in_order('x.t collate caseless desc, x.id');
select * from compare($$ select x.t collate caseless = 'A', count(*) from many_kinds x join label y on x.k = y.k group by x.t collate caseless $$);
-- another operator's order
select in_order('x.id using >');
select in_order('x.t using ~<~, x.id');

-- LIMIT and OFFSET
select in_order('x.id limit 0');
select in_order('x.id limit 1');
select in_order('x.m desc, x.id limit 10');
select in_order('x.t nulls first, x.id limit 10 offset 790');
select in_order('x.t nulls first, x.id limit 10 offset 10000');
select in_order('x.f8 desc, x.id offset 30');
select in_order('x.id limit all');
select in_order('x.id limit null offset null');
select in_order('x.ts, x.id limit 3 + 4 offset (select 2)');
select in_order('x.n, x.id fetch first row only');
select in_order('x.d desc nulls first, x.id fetch first 100 rows only');
-- rows without columns
select * from compare($$ select 'infinity'::timestamp from many_kinds order by 1 $$);
select * from compare($$ select 'infinity'::timestamp from many_kinds order by 1 fetch first 3 rows with ties $$);
-- WITH TIES: all peers of the last row, whatever the order among them
select * from compare($$ select x.id, y.name from many_kinds x join label y on x.k = y.k order by x.k fetch first 5 rows with ties $$);
select * from compare($$ select x.id, x.f8 from many_kinds x join label y on x.k = y.k order by x.f8 desc fetch first 3 rows with ties $$);
select * from compare($$ select x.id from many_kinds x join label y on x.k = y.k order by x.n nulls first, x.b fetch first 40 rows with ties $$);
select * from compare($$ select x.id from many_kinds x join label y on x.k = y.k order by y.name offset 100 rows fetch first 0 rows with ties $$);
select agrees_in_order($$ select x.k, y.name from many_kinds x join label y on x.k = y.k order by x.k desc, y.name fetch first 85 rows with ties $$);
select * from compare($$ select x.id from many_kinds x join label y on x.k = y.k order by x.f8, x.n fetch first 3 rows with ties $$);
select * from compare($$ select p.id, l.pos from purchase p join line l on p.id = l.purchase order by p.buyer desc fetch first 30 rows with ties $$);
select * from compare($$ select p.placed, l.quantity from purchase p join line l on p.id = l.purchase order by p.placed, l.quantity offset 3 rows fetch first 5 rows with ties $$);
select * from compare($$ select p.buyer, l.price from purchase p join line l on p.id = l.purchase order by p.buyer nulls first, l.price desc fetch first 500 rows with ties $$);
select * from compare($$ select p.id from purchase p join line l on p.id = l.purchase where p.id - l.purchase = 0 order by p.id - l.purchase fetch first 2 rows with ties $$);
explain (costs off) select p.id, l.pos from purchase p join line l on p.id = l.purchase order by p.buyer desc fetch first 30 rows with ties;
-- a limit and no order: so many rows, whichever
set joinscan.enabled = on;
select count(*) from (select x.id from many_kinds x join label y on x.k = y.k limit 17) q;
select count(*) from (select l.pos from purchase p join line l on p.id = l.purchase limit 5 offset 23990) q;
-- the first rows themselves
select x.id, x.f8, x.n, x.d from many_kinds x join label y on x.k = y.k where x.id > 1000 order by x.f8, x.id;
select x.id, x.n from many_kinds x join label y on x.k = y.k where x.id > 1000 order by x.n desc, x.id limit 4;
reset joinscan.enabled;
-- errors
select * from compare_outcome($$ select x.id from many_kinds x join label y on x.k = y.k order by x.id limit -1 $$);
select * from compare_outcome($$ select x.id from many_kinds x join label y on x.k = y.k order by x.id offset -1 $$);
select * from compare_outcome($$ select x.id from many_kinds x join label y on x.k = y.k order by x.id fetch first (select null::int) rows with ties $$);
select * from compare_outcome($$ select x.id from many_kinds x join label y on x.k = y.k order by 1 / (x.i2 - y.rev) $$);

-- larger: the top, all of it, by the key that the join has and by others
select agrees_in_order($$ select p.id, l.pos, l.price from purchase p join line l on p.id = l.purchase order by l.price desc, p.id, l.pos limit 25 $$);
select agrees_in_order($$ select p.id, l.pos, p.note from purchase p join line l on p.id = l.purchase order by p.id, l.pos $$);
select agrees_in_order($$ select p.id, l.pos, p.note from purchase p join line l on p.id = l.purchase order by p.note desc nulls last, p.id, l.pos $$);
select agrees_in_order($$ select b.id, p.id from buyer b left join purchase p on b.id = p.buyer order by p.total nulls first, b.id, p.id limit 300 $$);
select agrees_in_order($$ select b.id, p.id from buyer b full join purchase p on b.id = p.buyer order by 2, 1 limit 100 offset 7900 $$);
-- sorted in shares that the leader merges: more than queues hold; with keys that are the same in all rows
select agrees_in_order($$ select p.id, l.pos, l.price, p.note, l.shipped from purchase p join line l on p.id = l.purchase order by l.price, p.note desc, p.id, l.pos $$);
select agrees_in_order($$ select p.buyer, l.price from purchase p join line l on p.id = l.purchase order by p.buyer nulls first, l.price desc nulls last $$);
select * from compare($$ select x.id, y.name from many_kinds x join label y on x.k = y.k where x.k + y.rev = 10 order by x.k + y.rev $$);
select * from compare($$ select p.id, l.pos, l.price from purchase p join line l on p.id = l.purchase where p.id - l.purchase = 0 order by p.id - l.purchase $$);
select * from compare($$ select l.purchase, count(*) from purchase p join line l on p.id = l.purchase group by l.purchase having count(*) = 3 order by count(*) $$);
select agrees_in_order($$ select p.id, l.pos from purchase p join line l on p.id = l.purchase order by p.id desc, l.pos limit 11000 offset (select 500) $$);
set parallel_leader_participation = off;
select agrees_in_order($$ select p.id, l.pos, p.note from purchase p join line l on p.id = l.purchase order by p.note, p.id, l.pos $$);
reset parallel_leader_participation;
explain (costs off) select p.id, l.pos from purchase p join line l on p.id = l.purchase order by l.price, p.id;
explain (costs off) select p.id, l.pos from purchase p join line l on p.id = l.purchase order by l.price, p.id limit 5;
set work_mem = '64kB';
select agrees_in_order($$ select p.id, l.pos, p.note from purchase p join line l on p.id = l.purchase order by l.shipped, p.id, l.pos $$);
reset work_mem;
-- of groups
select agrees_in_order($$ select y.name, count(*), sum(x.m) from many_kinds x join label y on x.k = y.k where x.id < 1000 group by y.name order by count(*) desc, sum(x.m), 1 $$);
select agrees_in_order($$ select x.t, sum(x.id) from many_kinds x join label y on x.k = y.k group by x.t order by sum(x.id) desc nulls last limit 5 $$);
select agrees_in_order($$ select x.k, y.name from many_kinds x join label y on x.k = y.k group by x.k, y.name order by avg(x.id), 1 limit 4 offset 2 $$);
select agrees_in_order($$ select p.id, sum(l.price) s, p.placed from purchase p join line l on p.id = l.purchase group by p.id order by s desc, p.placed, p.id limit 10 $$);
select agrees_in_order($$ select x.k, x.b, grouping(x.k, x.b), count(*) from many_kinds x join label y on x.k = y.k group by rollup (x.k, x.b) order by 1 nulls first, 2, 3 $$);
select * from compare($$ select p.placed, count(*) from purchase p join line l on p.id = l.purchase group by p.placed order by count(*) desc fetch first 3 rows with ties $$);
-- in subqueries
select * from compare($$ select * from (select x.id, y.name from many_kinds x join label y on x.k = y.k order by x.m desc, x.id limit 20) q join label z on z.k = q.id % 10 $$);
select * from compare($$ select z.k, q.id from label z, lateral (select x.id from many_kinds x join label y on x.k = y.k where x.i2 = z.k order by x.m desc, x.id limit 2) q $$);
select * from compare($$ select z.k from label z join many_kinds w on w.k = z.k where w.id in (select x.id from many_kinds x join label y on x.k = y.k order by x.id desc limit 50) $$);
-- with parameters, and through cursors
select * from prepared_agrees('(int, int)', $$ select x.id, y.name from many_kinds x join label y on x.k = y.k where x.i2 < $1 order by x.id limit $2 $$, '3, 10', '6, null', '-100, 5', '0, 0');
\set QUIET off
begin;
set local joinscan.enabled = on;
declare top scroll cursor for select x.id, y.name from many_kinds x join label y on x.k = y.k order by x.m desc nulls last, x.id;
fetch 3 from top;
move forward 400 in top;
fetch 2 from top;
fetch backward 1 from top;
fetch last from top;
fetch first from top;
commit;
\set QUIET on
