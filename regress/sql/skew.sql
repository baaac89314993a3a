-- Keys that very many rows have: a shuffle sets them apart. Half of the rows of `often` have one key, a tenth has NULL.
create table often (id int, k int, k2 int, big bigint, n numeric(10,2), m numeric, f float8, g float4, t text, c char(8), v varchar(8), pad text);
create table seldom (like often);
insert into often
    select i, k, k % 3, k, k + 0.5, case when i % 4 = 0 then k + 0.5 else k + 0.500 end,
        case when i % 2 > 0 then k when i % 4 = 0 then '-0' else 0 end, k, 'k' || k, 'k' || k, 'k' || k, repeat('x', 60)
    from (select i, case when i % 2 = 0 then 7 when i % 10 > 1 then i end k from generate_series(1, 10000) i) _;
insert into seldom
    select i, k, k % 3, k, k + 0.5, k + 0.5, case when k = 7 then 0 else k end, k, 'k' || k, 'k' || k, 'k' || k, repeat('y', 60)
    from (select i, case when i < 3 then 7 when i % 50 > 0 then i end k from generate_series(1, 10000) i) _;
analyze often, seldom;
-- Too little for a broadcast.
set work_mem = '1MB';
set hash_mem_multiplier = 1.0;

-- What is set apart, in the order of the plan: of the build side first.
create function apart(query text) returns text language plpgsql as $$
declare
    line text;
    found text[];
begin
    for line in execute 'explain (verbose, costs off) ' || query loop
        found := found || substring(line from 'Common Keys (.*)');
    end loop;
    return array_to_string(found, ', ');
end $$;
create function check_apart(query text, out apart text, out rows bigint, out leader text, out workers text) language plpgsql as $$
begin
    apart := apart(query);
    select * into rows, leader, workers from compare(query);
end $$;

explain (verbose, costs off) select o.id, s.id, o.pad, s.pad from often o join seldom s on o.k = s.k;

-- Six of ten rows of `often` do not move, whoever reads them; of the others a third is at home already. The three rows
-- that the five of ten meet are in all three participants.
create function exchanged(query text, out stream int, out percent_sent text, out got bigint) returns setof record language plpgsql as $$
declare
    plan jsonb;
begin
    execute 'explain (analyze, verbose, timing off, format json) ' || query into plan;
    return query
        select distinct (reader ->> 'Stream')::int,
            case when (reader ->> 'Sent Rows')::int between 10000 * 0.20 and 10000 * 0.33 then '20 to 33'
                when (reader ->> 'Sent Rows')::int between 10000 * 0.55 and 10000 * 0.75 then '55 to 75' else 'other' end,
            (select sum((participant ->> 'Actual Rows')::bigint)::bigint from jsonb_array_elements(reader -> 'Participants') participant)
        from jsonb_path_query(plan, '$.** ? (@.Operator == "Reader" && @."Stream Kind" == "hash")') reader order by 1;
end $$;
select * from exchanged($$ select count(*), sum(length(o.pad)), sum(length(s.pad)) from often o join seldom s on o.k = s.k $$);
-- Nobody knows.
create table unknown with (autovacuum_enabled = off) as select * from often;
select apart($$ select o.id, s.id, o.pad, s.pad from unknown o join seldom s on o.k = s.k $$);

-- every kind of join, either side built
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o right join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o full join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, o.pad from often o where exists (select from seldom s where o.k = s.k and s.pad > '') $$);
select * from check_apart($$ select o.id, o.pad from often o where not exists (select from seldom s where o.k = s.k and s.pad > '') $$);
select * from check_apart($$ select s.id, s.pad from seldom s where exists (select from often o where o.k = s.k and o.pad > '') $$);
select * from check_apart($$ select s.id, s.pad from seldom s where not exists (select from often o where o.k = s.k and o.pad > '') $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from (select * from often where id > 0) o join (select * from seldom where id % 2 = 0) s on o.k = s.k $$);
-- the same with the common key on the side that is built
create table fewer as select * from often where id <= 4500;
analyze fewer;
set work_mem = '512kB';
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from fewer o join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from fewer o left join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, o.pad from fewer o where exists (select from seldom s where o.k = s.k and o.pad <> s.pad) $$);
select * from check_apart($$ select o.id, o.pad from fewer o where not exists (select from seldom s where o.k = s.k and o.pad <> s.pad) $$);
set work_mem = '1MB';
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from fewer o right join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from fewer o full join seldom s on o.k = s.k $$);
-- conditions that PostgreSQL evaluates, on pairs
create function is_odd(int) returns boolean language plpgsql immutable parallel safe as $$ begin return $1 % 2 = 1; end $$;
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.k and is_odd(o.id / 2 + s.id) $$);
select * from check_apart($$ select o.id, o.pad from often o where not exists (select from seldom s where o.k = s.k and s.pad > '' and is_odd(o.id / 2 + s.id)) $$);
-- keys of two types; equal values of several forms
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o join seldom s on o.big = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.big $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.n = s.m $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.m = s.n $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.m = s.m $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.f = s.f $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.g = s.f $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.t = s.t $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.c = s.c $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.c = s.t $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.v = s.t $$);
-- of several columns: two values of one, and none of an expression
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.k and o.k2 = s.k2 $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.k and o.k = s.big $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k % 15000 = s.k $$);
-- half of the rows of both sides
select * from check_apart($$ select a.id, b.id, a.pad, b.pad from often a join often b on a.k = b.k and a.id + b.id = 10000 $$);
-- NULLs alone
create table holes (id int, k int, pad text);
insert into holes select i, case when i % 2 = 0 then i end, repeat('z', 60) from generate_series(1, 10000) i;
analyze holes;
select * from check_apart($$ select s.id, p.id, s.pad, p.pad from holes p join seldom s on p.k = s.k $$);
select * from check_apart($$ select s.id, p.id, s.pad, p.pad from holes p left join seldom s on p.k = s.k $$);
select * from check_apart($$ select s.id, p.id, s.pad, p.pad from holes p full join seldom s on p.k = s.k $$);
select * from check_apart($$ select p.id, p.pad from holes p where not exists (select from seldom s where p.k = s.k and s.pad > '') $$);
-- what the leader alone can read is dealt out
create temporary table mine as select * from often;
analyze mine;
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from mine o join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from mine o left join seldom s on o.k = s.k $$);
-- a leader that stays out
set parallel_leader_participation = off;
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from often o left join seldom s on o.k = s.k $$);
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from mine o left join seldom s on o.k = s.k $$);
reset parallel_leader_participation;
-- joins on one another, groups and a limit above
select * from check_apart($$ select o.id, s.id, p.id, o.pad, s.pad, p.pad from often o join seldom s on o.k = s.k left join holes p on p.k = s.id $$);
select * from check_apart($$ select o.k, count(*), sum(length(s.pad)), sum(length(o.pad)) from often o left join seldom s on o.k = s.k group by o.k $$);
select count(*) from (select o.pad, s.pad from often o join seldom s on o.k = s.k limit 7000) _;
-- statistics that the user may not see set nothing apart
create role pgjs_other;
create view visible with (security_barrier) as select * from often where id > 0;
grant usage on schema pgjs_test to pgjs_other;
grant select on visible, seldom to pgjs_other;
grant execute on all functions in schema pgjs_test to pgjs_other;
set role pgjs_other;
select * from check_apart($$ select o.id, s.id, o.pad, s.pad from visible o join seldom s on o.k = s.k $$);
reset role;
drop owned by pgjs_other;
drop role pgjs_other;
