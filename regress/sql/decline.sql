-- Where JoinScan stays out, it says why, and PostgreSQL answers as before.
create function declined(query text) returns boolean language sql as $$ select not plan_has_joinscan(query) $$;
create table part (id int, k int) partition by range (id);
create table part_1 partition of part for values from (0) to (500);
create table part_2 partition of part for values from (500) to (2000);
insert into part select i, i % 10 from generate_series(1, 1000) i;
create table odd (id int, j jsonb, u uuid, a int[], any_numeric numeric);
insert into odd select i, jsonb_build_object('i', i), md5(i::text)::uuid, array[i], i / 3.0 from generate_series(1, 100) i;
create view barrier with (security_barrier) as select * from buyer where balance > 0;
create function leaky(int) returns boolean language plpgsql cost 0.0001 as $$ begin return $1 > 0; end $$;
analyze part, odd;
set joinscan.explain_decline = on;
-- row marks
select declined('select p.id from purchase p join buyer b on p.buyer = b.id for update of p');
-- not plain tables
select declined('select b.id from buyer b tablesample system (50) repeatable (1) join purchase p on p.buyer = b.id');
select declined('select b.id from buyer b join generate_series(1, 10) g on g = b.id');
select declined('select x.id from part x join buyer b on x.id = b.id');
select declined('select b.id from buyer b join (values (1), (2)) v (i) on b.id = v.i');
select declined('select c.relname from pg_class c join pg_namespace n on c.relnamespace = n.oid');
-- columns
select declined('select b.ctid, p.id from buyer b join purchase p on p.buyer = b.id');
select declined('select b.tableoid, p.id from buyer b join purchase p on p.buyer = b.id');
select declined('select b, p.id from buyer b join purchase p on p.buyer = b.id');
-- types
select declined('select o.j, b.id from odd o join buyer b on o.id = b.id');
select declined('select o.u, b.id from odd o join buyer b on o.id = b.id');
select declined('select o.a, b.id from odd o join buyer b on o.id = b.id');
select declined('select o.any_numeric, b.id from odd o join buyer b on o.id = b.id');
-- a column that is not needed does not matter
select declined('select o.id, b.id from odd o join buyer b on o.id = b.id');
-- expressions
select declined('select b.id from buyer b join purchase p on p.buyer = b.id where upper(b.segment) = ''X''');
select declined('select b.id from buyer b join purchase p on p.buyer = b.id where leaky(b.id)');
select declined('select b.id from buyer b join purchase p on p.buyer = b.id and random() < 0.5');
-- joins
select declined('select b.id from buyer b join purchase p on p.buyer < b.id');
select declined('select b.id from buyer b cross join nation n');
select declined('select b.id from buyer b left join purchase p on p.buyer = b.id');
select declined('select b.id from buyer b full join purchase p on p.buyer = b.id');
select declined('select b.id from buyer b where exists (select from purchase p where p.buyer = b.id)');
select declined('select b.id from buyer b where b.id not in (select p.buyer from purchase p)');
select declined('select b.id, x.id from buyer b, lateral (select p.id from purchase p where p.buyer = b.id limit 1) x');
select declined('select b.id from barrier b join purchase p on p.buyer = b.id where leaky(b.id)');
select declined('select b.id from buyer b join purchase p on p.buyer = b.id where current_user = ''nobody''');
-- no memory for the smaller side
set work_mem = '64kB';
set hash_mem_multiplier = 1;
select declined('select l.* from line l join line m on l.purchase = m.purchase');
reset work_mem;
reset hash_mem_multiplier;
-- too cheap
set joinscan.min_cost = 1000000;
select declined('select p.id from purchase p join buyer b on p.buyer = b.id');
reset joinscan.min_cost;
-- switched off: no word
set joinscan.enabled = off;
select declined('select p.id from purchase p join buyer b on p.buyer = b.id');
reset joinscan.enabled;
reset joinscan.explain_decline;
-- and the answers
select * from compare($$ select b.id from buyer b left join purchase p on p.buyer = b.id $$);
select * from compare($$ select b, p.id from buyer b join purchase p on p.buyer = b.id $$);
select * from compare($$ select x.id from part x join buyer b on x.id = b.id $$);
select * from compare($$ select o.*, b.id from odd o join buyer b on o.id = b.id $$);
-- a temporary table: the leader alone
create temp table scratch as select id from buyer where id % 3 = 0;
analyze scratch;
select * from compare($$ select p.id from purchase p join scratch s on p.buyer = s.id $$);
