-- What is offered where costs decide: all tables together, or some of PostgreSQL's joins; and to which queries at all.
set cpu_tuple_cost = 0.01;
set max_parallel_workers_per_gather = 0;
create table offered (id int primary key, k int, m int, wide text);
create table pages (id int, k int, m int, wide text);
insert into offered select i, i % 5000, i % 7, repeat('o', 40) from generate_series(1, 30000) i;
insert into pages select i, (i * 7) % 5000, i % 11, repeat('p', 200) from generate_series(1, 30000) i;
create table few as select i as id, i * 100 as k from generate_series(1, 20) i;
analyze offered, pages, few;

-- The plan's nodes, without what is in a JoinScan.
create function shape(query text) returns setof text language plpgsql as $$
declare
    line text;
    inside int := 1000;
begin
    for line in execute 'explain (costs off) ' || query loop
        if line ~ '->' or line !~ '^ ' then
            if length(substring(line from '^ *')) <= inside then
                return next line;
                inside := case when line ~ 'JoinScan' then length(substring(line from '^ *')) else 1000 end;
            end if;
        end if;
    end loop;
end $$;

-- the whole, as it costs less than PostgreSQL's plan
set joinscan.min_cost = 100;
select shape($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
select * from compare($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
-- whatever the joins below cost: PostgreSQL's plan is what counts
set joinscan.min_cost = 1000;
select shape($$ select count(*) from few f join offered o on o.id = f.k join offered o2 on o2.id = o.k $$);
select shape($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
set joinscan.min_cost = 1000000;
select shape($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
-- and with what stands on the joins: that is dear enough alone
set joinscan.min_cost = 7000;
select shape($$ select o.m, count(*), sum(p.id) from offered o join pages p on o.k = p.k group by o.m $$);
select shape($$ select o.id, count(*), sum(p.id) from offered o join pages p on o.k = p.k group by o.id order by 3, 1 $$);
set joinscan.min_cost = 100;
select * from compare($$ select o.id, count(*), sum(p.id) from offered o join pages p on o.k = p.k group by o.id order by 3, 1 $$);

-- What one JoinScan cannot have keeps the joins below from it no more.
-- a nested loop over it
select shape($$ select o.id, x.id from offered o join pages p on o.id = p.id,
    lateral (select id from few f where f.id = o.m + p.m limit 1) x $$);
select * from compare($$ select o.id, x.id from offered o join pages p on o.id = p.id,
    lateral (select id from few f where f.id = o.m + p.m limit 1) x $$);
-- in the place of a join that PostgreSQL's workers do
set max_parallel_workers_per_gather = 2;
select shape($$ select o.id, x.id from offered o join pages p on o.k = p.k and o.m + 1 <> p.m,
    lateral (select id from few f where f.id = o.m + p.m limit 1) x where o.id % 1000 < p.id $$);
set joinscan.enabled = off;
select shape($$ select o.id, x.id from offered o join pages p on o.k = p.k and o.m + 1 <> p.m,
    lateral (select id from few f where f.id = o.m + p.m limit 1) x where o.id % 1000 < p.id $$);
reset joinscan.enabled;
set max_parallel_workers_per_gather = 0;
select * from compare($$ select o.id, x.id from offered o join pages p on o.k = p.k and o.m + 1 <> p.m,
    lateral (select id from few f where f.id = o.m + p.m limit 1) x where o.id % 1000 < p.id $$);
-- both sides of a join whose hash table fits nowhere; each hash table below does
set work_mem = '4MB';
set hash_mem_multiplier = 1.0;
set join_collapse_limit = 1;
set enable_mergejoin = off;
set enable_nestloop = off;
select shape($$ select a.wide, b.wide from (pages a join offered o on o.id = a.id) join (pages b join offered u on u.id = b.id) on a.k = b.m $$);
select * from compare($$ select a.wide, b.wide from (pages a join offered o on o.id = a.id) join (pages b join offered u on u.id = b.id)
    on a.k = b.m where a.id < 3000 $$);
reset enable_mergejoin;
set enable_hashjoin = off;
select shape($$ select a.wide, b.wide from (pages a join offered o on o.id = a.id) join (pages b join offered u on u.id = b.id) on a.k = b.m $$);
select * from compare($$ select a.wide, b.wide from (pages a join offered o on o.id = a.id) join (pages b join offered u on u.id = b.id)
    on a.k = b.m where a.id < 3000 $$);
reset enable_hashjoin;
reset enable_nestloop;
reset join_collapse_limit;
reset work_mem;
reset hash_mem_multiplier;

-- however the search goes
set geqo_threshold = 2;
select shape($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
select * from compare($$ select o.wide, p.wide from offered o join pages p on o.id = p.id join few f on f.id = o.m $$);
reset geqo_threshold;
set join_collapse_limit = 1;
select shape($$ select o.wide, p.wide from offered o join (pages p join few f on f.id = p.m) on o.id = p.id $$);
select * from compare($$ select o.wide, p.wide from offered o join (pages p join few f on f.id = p.m) on o.id = p.id $$);
reset join_collapse_limit;
select shape($$ select o.wide, p.wide from offered o full join pages p on o.id = p.id full join few f on f.id = o.m $$);
select * from compare($$ select o.wide, p.wide from offered o full join pages p on o.id = p.id full join few f on f.id = o.m $$);
-- a subquery that is not pulled up is a search of its own
select shape($$ select count(*) from few f join (select o.m, count(*) n from offered o join pages p on o.id = p.id group by o.m) s on s.m = f.id $$);
select * from compare($$ select * from few f join (select o.m, count(*) n from offered o join pages p on o.id = p.id group by o.m) s on s.m = f.id $$);
