-- Every way in which a query comes to its end, and what it leaves behind.
set joinscan.enabled = on;
create function workers_left() returns bigint language sql as $$
    select count(*) from pg_stat_activity where backend_type = 'parallel worker' $$;

-- LIMIT
select count(*) from (select p.id from purchase p join line l on p.id = l.purchase limit 10) x;
select count(*) from (select p.id from purchase p join line l on p.id = l.purchase limit 0) x;
select count(*) from (select p.id from purchase p join line l on p.id = l.purchase offset 23990) x;
select p.id, l.pos from purchase p join line l on p.id = l.purchase order by 1, 2 limit 3;
select count(*) from (select p.id from purchase p join line l on p.id = l.purchase fetch first 5 rows only) x;

-- cursors, in pieces, forward and scrolled, left open, closed early
\set QUIET off
begin;
declare piecemeal cursor for select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.id <= 4;
move forward 2 in piecemeal;
move forward 3 in piecemeal;
move forward all in piecemeal;
move forward 1 in piecemeal;
close piecemeal;
declare early cursor for select p.id from purchase p join line l on p.id = l.purchase;
move forward 5 in early;
declare second cursor for select b.id from buyer b join nation n on b.nation = n.id;
move forward 7 in second;
move forward 5 in early;
close early;
move forward all in second;
declare back scroll cursor for select n.id from nation n join region r on n.region = r.id;
move forward 10 in back;
move backward 5 in back;
move forward all in back;
move backward all in back;
declare sorted scroll cursor for select n.id, r.name from nation n join region r on n.region = r.id order by n.id;
fetch 3 from sorted;
fetch backward 1 from sorted;
fetch last from sorted;
-- neither SCROLL nor NO SCROLL: backward where a Sort is on top, which is PostgreSQL's then
declare either cursor for select n.id, r.name from nation n join region r on n.region = r.id order by n.id;
fetch 3 from either;
fetch backward 2 from either;
fetch last from either;
declare below cursor with hold for select * from (select n.id, r.name from nation n join region r on n.region = r.id order by n.id limit 9) s;
fetch absolute 9 from below;
fetch prior from below;
declare forward no scroll cursor for select n.id, r.name from nation n join region r on n.region = r.id order by n.id;
fetch 1 from forward;
explain (costs off) declare explained cursor for select n.id, r.name from nation n join region r on n.region = r.id order by n.id;
explain (costs off) declare explained no scroll cursor for select n.id, r.name from nation n join region r on n.region = r.id order by n.id;
savepoint there;
fetch backward 1 from forward;
rollback to there;
-- without an order nothing goes backward, in PostgreSQL's own plan neither
declare unordered cursor for select n.id, r.name from nation n join region r on n.region = r.id;
fetch 1 from unordered \g /dev/null
fetch backward 1 from unordered;
rollback to there;
-- left open at the end of the transaction
declare open cursor for select p.id from purchase p join line l on p.id = l.purchase;
move forward 5 in open;
commit;
-- and one that outlives it
begin;
declare held cursor with hold for select p.id from purchase p join line l on p.id = l.purchase where p.id < 100;
move forward 20 in held;
commit;
move forward all in held;
close held;
\set QUIET on

-- PL/pgSQL's
do $$
declare
    ordered cursor for select n.id from nation n join region r on n.region = r.id order by n.id;
    id int;
    ids int[];
begin
    open ordered;
    for i in 1 .. 4 loop
        fetch ordered into id;
        ids := ids || id;
    end loop;
    fetch prior from ordered into id;
    ids := ids || id;
    fetch last from ordered into id;
    raise notice '%', ids || id;
end $$;

-- an error from above in the middle
create function explode(bigint) returns bigint language plpgsql as $$
begin
    if $1 = 4000 then
        raise exception 'enough' using errcode = 'P4000';
    end if;
    return $1;
end $$;
select sum(explode(p.id)) from purchase p join line l on p.id = l.purchase;
select workers_left();
-- and from below, in whatever participant meets it
\set SHOW_CONTEXT never
select count(*) from purchase p join line l on p.id = l.purchase where 10 / (l.price - l.price + (p.id - 4000)) < 100;
-- where only workers read, in one of them
set parallel_leader_participation = off;
select count(*) from purchase p join line l on p.id = l.purchase where 10 / (p.id - 4000) < 100;
reset parallel_leader_participation;
\set SHOW_CONTEXT errors
select workers_left();
-- the next query runs as if nothing had been
select count(*) from purchase p join line l on p.id = l.purchase;
-- caught in a subtransaction, again and again
do $$
declare
    caught int := 0;
    n bigint;
begin
    for i in 1 .. 10 loop
        begin
            execute 'select count(*) from purchase p join line l on p.id = l.purchase where 10 / (p.id - 4000) < 100' into n;
        exception when division_by_zero then
            caught := caught + 1;
        end;
    end loop;
    raise notice 'caught %', caught;
end $$;
select workers_left();

create table fan as select 1 as k, i as v from generate_series(1, 100000) i;
analyze fan;
-- out of time: 24,000 rows meet 480 partners each
set statement_timeout = 100;
\set VERBOSITY sqlstate
select count(*) from line l join line m on l.quantity = m.quantity join line n on m.quantity = n.quantity;
-- and where a condition over both sides lets nothing through: billions of pairs, and no row that would end a poll
set work_mem = '64MB';
select plan_has_joinscan('select count(*) from fan a join fan b on a.k = b.k and a.v < -b.v') as join_filter;
select count(*) from fan a join fan b on a.k = b.k and a.v < -b.v;
set max_parallel_workers_per_gather = 0;
select count(*) from fan a join fan b on a.k = b.k and a.v < -b.v;
reset max_parallel_workers_per_gather;
reset work_mem;
\set VERBOSITY default
reset statement_timeout;
select workers_left();

-- a hash table that fits when three share it, and finds the leader alone; and one that was planned with more memory
create table half as select i as id, repeat('x', 60) as t from generate_series(1, 60000) i;
analyze half;
set work_mem = '4MB';
set hash_mem_multiplier = 2;
select plan_has_joinscan('select count(*), max(a.t), max(b.t) from half a join half b using (id)') as shared_by_three;
set max_parallel_workers = 0;
select count(*), max(a.t) = max(b.t) as same from half a join half b using (id);
reset max_parallel_workers;
prepare with_memory(int) as select count(*), max(a.t) = max(b.t) as same from half a join half b using (id) where a.id > $1;
set plan_cache_mode = force_generic_plan;
execute with_memory(0);
set work_mem = '64kB';
execute with_memory(0);
reset plan_cache_mode;
reset work_mem;
reset hash_mem_multiplier;

-- out of memory, also beyond the slack, where PostgreSQL's plan takes over: three columns that say the same look like few rows to the planner, and text that
-- is compressed like little of it
create table correlated as
    select i, i % 2 as a, i % 2 as b, i % 2 as c, repeat(md5(i::text), 80) as t from generate_series(1, 90000) i;
analyze correlated;
set work_mem = '4MB';
set hash_mem_multiplier = 1;
\set VERBOSITY sqlstate
select count(l.t), count(r.t) from correlated l join correlated r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1;
set max_parallel_workers_per_gather = 0;
select count(l.t), count(r.t) from correlated l join correlated r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1;
\set VERBOSITY default
reset max_parallel_workers_per_gather;
reset work_mem;
reset hash_mem_multiplier;
select workers_left();
-- with memory enough the same query runs
set work_mem = '256MB';
select count(l.t), count(r.t) from correlated l join correlated r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1;
reset work_mem;

-- one query in another: a function that joins, called by a join; twice in one query
create function nested(int) returns bigint language plpgsql as $$
declare
    n bigint;
begin
    select count(*) into n from purchase p join buyer b on p.buyer = b.id where b.id = $1;
    return n;
end $$;
select sum(nested(b.id)) from buyer b join nation n on b.nation = n.id where b.id <= 50;
select count(*) from purchase p join buyer b on p.buyer = b.id where b.id <= 50;
select (select count(*) from purchase p join line l on p.id = l.purchase) as lines,
       (select count(*) from buyer b join nation n on b.nation = n.id) as buyers;
select count(*) from (select p.id from purchase p join line l on p.id = l.purchase union all
    select b.id from buyer b join nation n on b.nation = n.id) x;

-- the leader alone: loops, writes
do $$
declare
    r record;
    n bigint := 0;
begin
    for r in select p.id, l.pos from purchase p join line l on p.id = l.purchase loop
        n := n + r.pos;
        exit when n > 10000;
    end loop;
    raise notice 'left the loop: %', n > 10000;
end $$;
create table copied as select p.id, l.pos, l.price from purchase p join line l on p.id = l.purchase;
select count(*), sum(price) from copied;
insert into copied select p.id, l.pos, l.price from purchase p join line l on p.id = l.purchase where l.pos = 2;
select count(*), sum(price) from copied;
-- it reads what its own table held before
insert into copied select c.id, c.pos, l.price from copied c join line l on c.id = l.purchase and c.pos = l.pos;
select count(*), sum(price) from copied;
update copied set price = 0 from purchase p where p.id = copied.id and p.buyer = 7;
delete from copied using purchase p where p.id = copied.id and p.buyer is null;
select count(*), sum(price) from copied;
-- own changes, before the commit
begin;
insert into purchase values (900001, 1, '2020-01-01', 1, 'own');
insert into line values (900001, 0, 1, 1, 1, 0, null, 'N');
delete from line where purchase = 17;
select count(*), sum((p.note = 'own')::int) from purchase p join line l on p.id = l.purchase;
savepoint a;
delete from line where purchase = 18;
select count(*) from purchase p join line l on p.id = l.purchase;
rollback to a;
select count(*) from purchase p join line l on p.id = l.purchase;
rollback;
select count(*) from purchase p join line l on p.id = l.purchase;

-- scan counters move as for PostgreSQL's own scans
create table counted as select i as id from generate_series(1, 5000) i;
create table counted_too as select i as id from generate_series(1, 5000) i;
analyze counted, counted_too;
select count(*) from counted a join counted_too b on a.id = b.id;
select pg_stat_force_next_flush();
select seq_scan > 0 as scanned, seq_tup_read from pg_stat_user_tables where relname = 'counted';
select workers_left();
