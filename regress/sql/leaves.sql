-- Leaves: relations that PostgreSQL reads, in the leader, for a plan that joins them.
create schema pgjs_leaves;
set search_path = pgjs_leaves, pgjs_test, public;
create table sliced (id int, v text, k int) partition by range (id);
create table sliced1 partition of sliced for values from (0) to (1000);
create table sliced2 partition of sliced for values from (1000) to (2000);
-- one with other columns in other places
create table sliced3 (k int, id int, junk text, v text);
alter table sliced3 drop column junk;
alter table sliced attach partition sliced3 for values from (2000) to (9000);
insert into sliced select i, 'p' || i, i % 50 from generate_series(0, 3000) i;
create table parent (id int, v text);
create table child (extra int) inherits (parent);
insert into parent select i, 'i' || i from generate_series(1, 300) i;
insert into child select i, 'j' || i, i from generate_series(200, 600) i;
create temp table short_lived as select i id, 't' || i v from generate_series(1, 700) i;
create view guarded with (security_barrier) as select * from buyer where balance > 0;
create function spell(i int) returns text language plpgsql immutable parallel safe as $$ begin return 'n' || i; end $$;
analyze sliced, parent, child, short_lived;

-- ---- CTEs and subqueries ----
select * from compare('with c as materialized (select buyer, count(*) n from purchase group by buyer) select * from c join buyer b on b.id = c.buyer');
select * from compare('with c as (select buyer, count(*) n from purchase group by buyer) select * from c join c d on c.buyer = d.n + 5 join buyer b on b.id = c.buyer');
select * from compare('with recursive c (i) as (select 1 union all select i + 1 from c where i < 300) select * from c join buyer b on b.id = c.i');
select * from compare('with recursive c (i, id) as (select 1, 1 union all select i + 1, b.nation from c join buyer b on b.id = c.id where i < 30) select * from c join buyer b on b.id = c.i');
select * from compare('select * from buyer b join (select buyer, total from purchase order by total desc, id limit 50) p on p.buyer = b.id');
select * from compare('select * from buyer b join (select buyer, row_number() over (partition by buyer order by id) n from purchase) p on p.buyer = b.id where n = 2');
select * from compare('select * from buyer b join (select distinct buyer, placed from purchase) p on p.buyer = b.id');
select * from compare('select * from buyer b join (select buyer from purchase union select id from product) p on p.buyer = b.id');
select * from compare('select * from buyer b join (select buyer from purchase union all select id from product) p on p.buyer = b.id');
select * from compare('select * from buyer b join (select buyer, placed, sum(total), grouping(buyer, placed) from purchase group by grouping sets ((buyer), (placed), (buyer, placed), ())) p on p.buyer = b.id');
select * from compare('select * from (select * from buyer where id in (select n.id from nation n) or exists (select from region r where r.id = nation)) b join purchase p on p.buyer = b.id');
select * from compare('select * from (select * from buyer where false) b full join purchase p on p.buyer = b.id');
select * from compare('select * from buyer b left join (select * from purchase where id < 0 limit 1) p on p.buyer = b.id');
-- no columns at all
select * from compare('select from (select from generate_series(1, 300)) a cross join (select from region) b');

-- ---- functions and values ----
select * from compare('select * from buyer b join (values (1, ''a''), (2, ''b''), (null, ''c'')) v (i, t) on v.i = b.id');
select * from compare('select * from buyer b full join (values (1, ''a''), (null, ''c''), (99999, ''z'')) v (i, t) on v.i = b.id');
select * from compare('select * from generate_series(1, 200, 3) h full join generate_series(1, 2000, 3) g on g = h');
select * from compare('select * from buyer b join unnest(array[3, 4, 5, null], array[''a'', ''b'']) with ordinality u (a, b, o) on u.a = b.id');
select * from compare('select * from buyer b join json_to_recordset(''[{"a":1,"b":"x"},{"a":5}]'') as j (a int, b text, c numeric) on j.a = b.id');
select * from compare('select * from buyer b join rows from (generate_series(1, 5), unnest(array[''q'', ''r''])) with ordinality r (a, b, o) on r.a = b.id');
select * from compare('select * from buyer b join xmltable(''/r/x'' passing ''<r><x><i>4</i></x><x><i>9</i></x></r>'' columns i int path ''i'') x on x.i = b.id');
-- values of types that have a native form, and declared widths that nobody holds to
select * from compare('select a.*, b.* from (values (1.0), (1.00), (''NaN''::numeric), (''Infinity'')) a (n) full join (values (1), (''NaN''::numeric), (''-Infinity''), (1e100)) b (n) on a.n = b.n');
select * from compare('select a.*, b.* from (select id, price::numeric(10, 2) n from product) a join (select price + 0 n from product union all values (1e50), (''NaN''::numeric)) b on a.n = b.n and a.n * b.n > a.n');
select * from compare('select x.c, r.name from (select ''ab ''::char(5) c union all select ''ab'' union all select null) x left join (select ''ab''::char(10) c, name from region) r on r.c = x.c');
select * from compare('select a.i, b.i from (select i, i::float8 f from generate_series(0, 50) i union all values (-1, ''NaN''::float8), (-2, ''-0'')) a join (select i, case i when 4 then ''NaN'' else i::float4 end f from generate_series(0, 50) i) b on a.f = b.f');
-- wide values
select * from compare('select * from buyer b join (select repeat(''x'', 50000) || i big, i from generate_series(1, 200) i) g on g.i = b.id');

-- ---- tables that JoinScan does not read itself ----
select * from compare('select * from sliced join buyer b on b.id = sliced.id');
select * from compare('select * from sliced a join sliced b on b.id = a.k');
select * from compare('select p, p.tableoid from sliced p join buyer b on b.id = p.id');
select * from compare('select * from parent p join buyer b on b.id = p.id');
select * from compare('select c::parent from child c join parent p on p = c::parent join region r on r.id = c.id % 5');
select * from compare('select * from buyer b join purchase p tablesample system (40) repeatable (3) on p.buyer = b.id');
select * from compare('select * from short_lived t join buyer b on b.id = t.id');
select * from compare('select b.ctid, b.tableoid, b.xmin, p.ctid from buyer b join purchase p on p.buyer = b.id');
select * from compare('select b.id, p.id from buyer b join purchase p on p.ctid = b.ctid and p.id < 100 and b.id < 100');
select * from compare('select b, p from buyer b left join purchase p on p.buyer = b.id and p.id < 500');
select * from compare('select c.relname, c.relkind, a.attname, a.attnum from pg_class c join pg_attribute a on a.attrelid = c.oid where c.oid in (''line''::regclass, ''sliced3''::regclass)');
select * from compare('select * from information_schema.columns where table_schema in (''pgjs_test'', ''pgjs_leaves'') and table_name in (''line'', ''sliced3'')');
select * from compare('select g.id, p.id from guarded g join purchase p on p.buyer = g.id where spell(g.id) > ''n3''');
-- row security is a leaf's own
create table owned (id int, owner text);
insert into owned select i, case when i % 2 = 0 then 'pgjs_owner' else 'x' end from generate_series(1, 1000) i;
alter table owned enable row level security;
create policy own on owned using (owner = current_user);
create role pgjs_owner;
grant usage on schema pgjs_test, pgjs_leaves to pgjs_owner;
grant select on owned, buyer to pgjs_owner;
set role pgjs_owner;
select * from compare('select o.id, b.id from owned o join buyer b on b.id = o.id where spell(o.id) <> b.segment');
reset role;
drop owned by pgjs_owner;
drop role pgjs_owner;

-- ---- a leaf is read in the leader alone ----
-- more rows for what it is joined to than queues and channels hold
create function is_first(i int) returns boolean language plpgsql immutable parallel safe as $$ begin return i = 1; end $$;
set statement_timeout = '20s';
set cpu_tuple_cost = 0.01; -- the joins that PostgreSQL picks must not read one without an end
select * from compare('select b.id, q.y from buyer b left join (select p.buyer, case when l.pos > 0 then p end y from purchase p left join line l on l.purchase = p.id and is_first(l.pos)) q on b.id = q.buyer and q.y is null');
select * from compare('select l.pos, g from line l join generate_series(0, 20000) g on g = l.purchase where is_first(l.pos)');
set parallel_leader_participation = off;
select * from compare('select b.id, g from buyer b full join generate_series(1, 2000, 3) g on g = b.id');
reset parallel_leader_participation;
set max_parallel_workers = 0;
select * from compare('select b.id, g from buyer b full join generate_series(1, 2000, 3) g on g = b.id');
reset max_parallel_workers;

-- ---- rescans: leaves with parameters ----
select * from compare('select b.id, (select count(*) from (select * from purchase where buyer = b.id order by id limit 3) p join region r on r.id = p.id % 5) from buyer b where b.id < 30');
select * from compare('select b.id, (select string_agg(n.name, '','' order by n.id) from nation n join generate_series(1, b.id) g on g = n.id) from buyer b where b.id < 30');
select * from compare('select b.id, (select count(*) from nation n join (values (b.id), (b.id + 1)) g (i) on g.i = n.id where n.id <> b.id) from buyer b where b.id < 30');
-- partitions pruned at run time
select prepared_agrees('(int)', 'select b.id, sliced.v from buyer b join sliced on sliced.id = b.id join generate_series(1, $1) g on g = b.id where sliced.id < $1', '3', '900', 'null');

-- ---- not all rows are wanted ----
select b.id from buyer b join generate_series(1, 20000) g on g = b.id and b.id = 7 limit 1;
select n.id, (select p.id from sliced p join (select id from purchase offset 0) q on q.id = p.id and p.id > n.id order by 1 limit 1) from nation n order by 1 limit 3;
-- recursion without an end
with recursive c (i) as (select 1 union all select i + 1 from c) select i from c join buyer b on b.id = c.i limit 2;
with recursive c (i) as (select 1 union all select i + 1 from c) select i from (select i from c offset 0) d join buyer b on b.id = i limit 2;
select r.id from region r where exists (
    with recursive c (i) as (select 1 union all select i + 1 from c) select from c join buyer b on b.id = c.i and b.id <> r.id);
reset statement_timeout;
reset cpu_tuple_cost;
-- a leaf that takes long is cancelled
set statement_timeout = 200;
select count(*) from (select g from generate_series(1, 2000000000) g offset 0) a join (select generate_series(1, 2000000000) g) b using (g);
reset statement_timeout;

-- ---- leaves that run what they like ----
create function ids() returns setof int language plpgsql as $$
declare
    r record;
begin
    for r in select b.id from buyer b join nation n on n.id = b.nation where spell(b.id) > 'n1' order by 1 loop
        return next r.id;
    end loop;
end $$;
select * from compare('select b.id from buyer b join ids() i on i = b.id');
begin;
with d as (delete from purchase where id % 10 = 0 returning *) select count(*), sum(d.total) from d join buyer b on b.id = d.buyer;
with i as (insert into region values (50, 'new'), (51, 'newer') returning *)
    select i.id, n.id, r.id from i join nation n on n.id = i.id - 40 left join region r on r.id = i.id order by 1;
with u as (update buyer set balance = 0 where id < 4 returning *) select u.id, b.balance, u.balance from u join buyer b on b.id = u.id order by 1;
-- to its end, whatever is wanted of it
with d as (delete from purchase where id % 10 = 1 returning *) select 1 from d join buyer b on b.id = d.buyer limit 1;
select count(*) from purchase;
rollback;
-- the table changes under a prepared plan
prepare reads as select count(p.*), max(p.v) from sliced p join buyer b on b.id = p.id;
execute reads;
alter table sliced add column more int default 3;
execute reads;
drop table sliced1;
execute reads;
drop table sliced;
execute reads;
deallocate reads;
