-- Memory that runs out before the first row: PostgreSQL's plan takes over, and the answer is the same. Statistics that lie make
-- the planner believe in few groups; three columns that say the same look like few rows to it, and compressed texts small.
create table plenty as
    select i, i % 7 as s, i % 2 as a, i % 2 as b, i % 2 as c, repeat(md5(i::text), 200) as t
    from generate_series(1, 40000) i;
alter table plenty alter t set (n_distinct = 5);
create table seven as select i as id, 'n' || i as n from generate_series(0, 6) i;
analyze plenty, seven;
-- the same rows with JoinScan off and on, and how often it falls back
create function compared(query text) returns table (same text, fallbacks bigint) language plpgsql as $$
declare
    line text;
begin
    fallbacks := 0;
    for line in execute 'explain (analyze, costs off, timing off, summary off) ' || query loop
        fallbacks := fallbacks + (line like '%Fallback:%')::int;
    end loop;
    select result into same from joinscan.verify(query) as v(result, "off", "on") limit 1;
    return next;
end $$;
create function plan_of(query text) returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute 'explain (analyze, costs off, timing off, summary off) ' || query loop
        if line ~ 'Custom Scan|Fallback|Aggregate .*loops|Hash Join .*loops' then
            return next regexp_replace(line, ' *\(actual.*', '');
        end if;
    end loop;
end $$;
set work_mem = '1MB';
set hash_mem_multiplier = 1;
set enable_nestloop = off;

-- groups: without workers and with; expressions over what is grouped; a key that PostgreSQL computes
set max_parallel_workers_per_gather = 0;
select plan_of($$select t, count(*), sum(i) from plenty join seven on id = s group by t$$);
select * from compared($$select t, count(*), sum(i) from plenty join seven on id = s group by t$$);
set max_parallel_workers_per_gather = 2;
select * from compared($$select t || 'x', count(*) + 1, sum(i) / 2 from plenty join seven on id = s group by t having sum(i) > 5$$);
select * from compared($$select count(*), sum(length(u)), sum(m) from
    (select t as u, sum(i) % 1000 as m from plenty join seven on id = s group by t) g$$);
select * from compared($$select t || '', s, grouping(t), count(*) from plenty join seven on id = s group by grouping sets ((t, s), (s))$$);
select * from compared($$select distinct t, s + 1 from plenty join seven on id = s$$);
select * from compared($$select t, count(*) from plenty group by t order by sum(i) / 2, count(*) + 1, sum(i) limit 10$$);

-- the build side of a join, inner and outer, and what stands above it
select * from compared($$select l.i, r.t from plenty l join plenty r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1$$);
select * from compared($$select l.i, r.t, n from plenty l
    left join (select * from plenty where a = 1 and b = 1 and c = 1) r on l.i = r.i join seven on id = l.s$$);
select * from compared($$select count(l.t) + 1, count(r.t) from plenty l join plenty r on l.i = r.i
    where r.a = 1 and r.b = 1 and r.c = 1 and l.i % 3 <> (select min(id) from seven)$$);
-- a condition with a subquery is evaluated above a JoinScan, and in PostgreSQL's plan
select * from compared($$select l.i, r.t from plenty l join plenty r on l.i = r.i
    where r.a = 1 and r.b = 1 and r.c = 1 and (l.i < 100 or exists (select from seven where id = l.i % 11))$$);

-- sorts, window functions
select * from compared($$select i, t from plenty join seven on id = s where a = 1 and b = 1 and c = 1 and t <> '' and i > 0
    order by -i$$);
select * from compared($$select i, t, row_number() over (partition by s order by i) as r from plenty join seven on id = s
    where a = 1 and b = 1 and c = 1$$);

-- leaves: PostgreSQL reads them in both plans
select * from compared($$with m as materialized (select * from plenty)
    select l.i, r.t from m l join plenty r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1$$);
select * from compared($$select r.t, g from (select i, count(*) as g from plenty group by i offset 0) l join plenty r on l.i = r.i
    where r.a = 1 and r.b = 1 and r.c = 1$$);

-- again and again with other parameters: a node that has fallen back stays so; a prepared statement is begun anew
select * from compared($$select id, (select count(u) || ':' || sum(c) from
    (select t as u, count(*) as c from plenty p join seven q on q.id = p.s where p.i > o.id group by t) g) from seven o where id < 3$$);
prepare groups(int) as select count(*), sum(c) from
    (select t, count(*) as c from plenty join seven on id = s where i > $1 group by t) g;
set plan_cache_mode = force_generic_plan;
execute groups(10);
execute groups(39990);
execute groups(20);
reset plan_cache_mode;

-- a cursor
\set QUIET off
begin;
declare c cursor for select t, count(*) as c from plenty join seven on id = s group by t;
move 39999 in c;
move 2 in c;
close c;
commit;
\set QUIET on

-- volatile functions would be called twice: no plan to fall back to
\set VERBOSITY sqlstate
select count(l.i), count(r.t) from (select i + (random() * 0)::int as i from plenty offset 0) l
    join plenty r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1;
\set VERBOSITY default
-- which the error tells
do $$
declare
    context text;
begin
    perform count(l.i), count(r.t) from (select i + (random() * 0)::int as i from plenty offset 0) l
        join plenty r on l.i = r.i where r.a = 1 and r.b = 1 and r.c = 1;
exception when out_of_memory then
    get stacked diagnostics context = pg_exception_context;
    raise notice '%', split_part(context, E'\n', 1);
end $$;
select workers_left();
drop table plenty, seven;
