-- DISTINCT, DISTINCT ON, UNION over joins.
create table twice (id int, k int, f8 double precision, n numeric, m numeric(8, 2), t text, c char(6), d date, iv interval);
insert into twice
    select i, i % 7, (i % 5 - 2) / 4.0, (i % 9) / 10.0, (i % 6) / 4.0, 'text ' || i % 4, 'c' || i % 3, date '2000-01-01' + i % 8, i % 3 * interval '1 day'
      from generate_series(1, 500) i;
insert into twice values
    (1001, 90, '-0', 1.0, 1, 'x', 'a', null, '1 mon'), (1002, 90, '0', 1.00, 1, 'x', 'a ', null, '30 days'), (1003, 91, 'NaN', 'NaN', 'NaN', 'x ', '', null, null),
    (1004, 91, 'Infinity'::float8 - 'Infinity', 'Infinity', null, null, null, 'infinity', null), (1005, null, null, null, null, null, null, null, null);
create table other_side as select i as k, i % 2 as h from generate_series(0, 6) i union all select i, i from generate_series(90, 91) i;
analyze twice, other_side;
select * from compare($$ select distinct x.k from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct x.k, o.h, x.t from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct x.m, x.c, x.d from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct o.h from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct x.id, o.h from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct x.k + o.h, upper(x.t) from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct x.t from twice x join other_side o on x.k = o.k where x.id < 0 $$);
select * from compare($$ select distinct 1 from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select distinct p.buyer, p.note from purchase p join line l on p.id = l.purchase $$);
select * from compare($$ select distinct l.purchase, l.pos from purchase p join line l on p.id = l.purchase $$);
select * from compare($$ select distinct b.segment, p.note from buyer b left join purchase p on p.buyer = b.id $$);
-- equal values are one, however they are written
select * from compare($$ select y.f8 + 0, count(*) from (select distinct x.f8 from twice x join other_side o on x.k = o.k) y group by 1 $$);
select * from compare($$ select trim_scale(y.n) from (select distinct x.n from twice x join other_side o on x.k = o.k) y $$);
select * from compare($$ select y.c::text || '.' from (select distinct x.c from twice x join other_side o on x.k = o.k) y $$);
select * from compare($$ select interval_hash(y.iv) from (select distinct x.iv from twice x join other_side o on x.k = o.k) y $$);
set joinscan.enabled = on;
select count(*) from (select distinct x.f8 from twice x join other_side o on x.k = o.k where x.id > 1000) y;
select count(*) from (select distinct x.n from twice x join other_side o on x.k = o.k where x.id > 1000) y;
select count(*) from (select distinct x.t, x.c from twice x join other_side o on x.k = o.k where x.id > 1000) y;
reset joinscan.enabled;
-- of groups
select * from compare($$ select distinct count(*), o.h from twice x join other_side o on x.k = o.k group by o.h, x.t $$);
select * from compare($$ select distinct sum(x.k) from twice x join other_side o on x.k = o.k group by x.t $$);
-- with an order
select * from agrees_in_order($$ select distinct x.t, o.h from twice x join other_side o on x.k = o.k order by 2 desc, 1 $$);
select * from agrees_in_order($$ select distinct x.t, x.k from twice x join other_side o on x.k = o.k order by x.k nulls first, x.t desc limit 7 offset 2 $$);
select * from agrees_in_order($$ select distinct p.buyer from purchase p join line l on p.id = l.purchase order by 1 desc nulls last limit 20 $$);
-- DISTINCT ON
select * from agrees_in_order($$ select distinct on (x.k) x.k, x.id, o.h from twice x join other_side o on x.k = o.k order by x.k, x.id desc $$);
select * from agrees_in_order($$ select distinct on (x.t, o.h) x.t, o.h, x.d, x.id from twice x join other_side o on x.k = o.k order by x.t desc, o.h, x.d nulls first, x.id $$);
select * from agrees_in_order($$ select distinct on (x.t) x.id from twice x join other_side o on x.k = o.k order by x.t, x.id limit 3 $$);
select * from compare($$ select distinct on (x.k) x.k from twice x join other_side o on x.k = o.k $$);
select * from agrees_in_order($$ select distinct on (p.buyer) p.buyer, p.id, l.pos from purchase p join line l on p.id = l.purchase order by p.buyer, p.total desc, p.id, l.pos $$);
-- its keys in every form of equal values; with groups, windows and computed keys below; nulls, no rows
select * from compare($$ select distinct on (x.f8) x.f8 = 0, x.id from twice x join other_side o on x.k = o.k order by x.f8 desc, x.id, o.h $$);
select * from compare($$ select distinct on (x.n) x.n = 1, x.id from twice x join other_side o on x.k = o.k order by x.n nulls first, x.id desc $$);
select * from compare($$ select distinct on (x.iv, o.h) x.iv, x.id from twice x join other_side o on x.k = o.k order by o.h, x.iv, x.id $$);
select * from compare($$ select distinct on (x.k) x.k, sum(x.id) from twice x join other_side o on x.k = o.k group by x.k, o.h, x.d order by x.k, sum(x.id) desc $$);
select * from compare($$ select distinct on (o.h) o.h, rank() over (order by x.id) from twice x join other_side o on x.k = o.k order by o.h, 2 desc $$);
select * from compare($$ select distinct on (length(x.t || o.h)) x.id from twice x join other_side o on x.k = o.k order by length(x.t || o.h), x.id $$);
select * from compare($$ select distinct on (x.k) x.k, x.id from twice x join other_side o on x.k = o.k where x.id < 0 order by x.k, x.id $$);
select * from compare_outcome($$ select distinct on (x.k) x.k, 1 / (x.id - 8) from twice x join other_side o on x.k = o.k order by x.k, 1 / (x.id - 8) $$);
explain (costs off) select distinct on (p.buyer) p.buyer, p.id, l.pos from purchase p join line l on p.id = l.purchase order by p.buyer, p.total desc, p.id, l.pos;
-- any row will do: which, is PostgreSQL's to say
explain (costs off) select distinct on (p.buyer) p.buyer, p.id from purchase p join line l on p.id = l.purchase order by p.buyer;
-- UNION, INTERSECT, EXCEPT of joins
select * from compare($$ select x.k, o.h from twice x join other_side o on x.k = o.k union select o.k, x.id from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select x.k, x.t from twice x join other_side o on x.k = o.k union all select o.h, 'other' from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select x.k from twice x join other_side o on x.k = o.k intersect select x.id from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select x.id from twice x join other_side o on x.k = o.k except select x.k from twice x join other_side o on x.k = o.k $$);
select * from compare($$ select x.t, count(*) from twice x join other_side o on x.k = o.k group by 1 union select x.c, sum(x.k) from twice x join other_side o on x.k = o.k group by 1 $$);
select * from agrees_in_order($$ select x.k as a, o.h as b from twice x join other_side o on x.k = o.k union select o.h, x.id from twice x join other_side o on x.k = o.k order by b desc, a limit 30 $$);
-- in subqueries
select * from compare($$ select y.k, b.id from (select distinct x.k, x.t from twice x join other_side o on x.k = o.k) y join buyer b on b.id = y.k $$);
select * from compare($$ select b.id from buyer b join nation n on n.id = b.nation where b.id in (select distinct x.k from twice x join other_side o on x.k = o.k) $$);
-- one key twice
select * from compare($$ select distinct on (1, 2) x.k, x.k, x.id from twice x join other_side o on x.k = o.k order by 1, 2, 3 $$);
-- DISTINCT ON constants, of which nothing is wanted: rows without a column
select * from compare($$ select '' from (select distinct on (1) trim_scale('NaN'::numeric)::text collate "C", trim_scale(-0.01)::text collate "C" from twice x join other_side o on x.k = o.k order by 1, 2) y $$);
