-- Every kind of join, by keys, by other conditions and by none; with conditions that PostgreSQL evaluates; in trees.
create function odd(int) returns boolean language plpgsql immutable parallel safe as $$ begin return $1 % 2 = 1; end $$;
create table l (id int, k int, n numeric, t text);
create table r (id int, k int, n numeric(12,3), t varchar(20));
insert into l select i, nullif(i % 40, 7), case when i % 50 = 0 then 'NaN' else i % 30 + 0.50 end, 'k' || i % 25 from generate_series(1, 400) i;
insert into r select i, nullif(i % 60, 7), i % 45 + 0.5, case when i % 11 > 0 then 'k' || i % 70 end from generate_series(1, 500) i;
analyze l, r;
-- keys
select * from compare($$ select l.id, r.id from l join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k) $$);
select * from compare($$ select l.id from l where l.k in (select k from r) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k) $$);
select * from compare($$ select l.id from l left join r on l.k = r.k where r.id is null $$);
select * from compare($$ select l.id from l where l.k not in (select k from r where k is not null) $$);
-- of several columns, of other types, of expressions
select * from compare($$ select l.id, r.id from l join r on l.k = r.k and l.t = r.t $$);
select * from compare($$ select l.id, r.id from l full join r on l.n = r.n $$);
select * from compare($$ select l.id, r.id from l left join r on l.id = r.n $$);
select * from compare($$ select l.id, r.id from l join r on l.k / 2 = r.k % 20 $$);
select * from compare($$ select l.id, r.id from l left join r on lower(l.t) = upper(r.t) $$);
-- IS NOT DISTINCT FROM is no key
select * from compare($$ select l.id, r.id from l join r on l.k is not distinct from r.k $$);
-- further conditions, on either side and on both
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id < r.id $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id > 200 $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k and l.id < r.id and r.id % 3 = 0 $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k and l.id < r.id $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k and l.id < r.id and l.n < r.n) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k and l.id < r.id) $$);
-- conditions above the join
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k where coalesce(r.id, 0) < 100 $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k where l.id is distinct from r.id $$);
-- no keys
select * from compare($$ select l.id, r.id from l cross join r $$);
select * from compare($$ select l.id, r.id from l join r on l.id < r.k $$);
select * from compare($$ select l.id, r.id from l left join r on l.id < r.k - 40 $$);
select * from compare($$ select l.id, r.id from l right join r on l.id < r.k - 40 $$);
select * from compare($$ select l.id from l where exists (select from r where l.id < r.k - 40) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.id < r.k - 40) $$);
select * from compare_outcome($$ select l.id, r.id from l full join r on l.id < r.k $$);
-- nothing to join with: the other side is not read
set max_parallel_workers_per_gather = 0;
explain (analyze, costs off, timing off, summary off) select l.id, r.id from (select id from l where id < 0) l join r on l.id < r.id;
reset max_parallel_workers_per_gather;
-- a table that is joined more than once: what one join knows of its keys concerns one of them
create table rare (id int not null);
create table knot (id int not null, name int not null);
insert into rare select i % 5 from generate_series(1, 200) i;
insert into knot select i % 31, i % 100 from generate_series(1, 300) i;
analyze rare, knot;
select * from compare($$ select c.id from rare a, knot b, knot c where a.id = b.id and b.name = c.name $$);
set max_parallel_workers_per_gather = 0;
select * from compare($$ select c.id from rare a, knot b, knot c where a.id = b.id and b.name = c.name $$);
select * from compare($$ select c.id, d.id from rare a, knot b, knot c, knot d where a.id = b.id and b.name = c.name and c.id = d.name $$);
select * from compare($$ select b.id, b.name from rare a, knot b where a.id = b.id and exists (select from knot c where c.name = b.name and c.id > 20) $$);
select * from compare($$ select b.n, c.n from rare a,
    (select id, name, count(*) n from knot group by id, name offset 0) b, (select id, name, count(*) n from knot group by id, name offset 0) c
    where a.id = b.id and b.name = c.name $$);
reset max_parallel_workers_per_gather;
-- conditions that PostgreSQL evaluates
select * from compare($$ select l.id, r.id from l join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id < r.id and odd(l.id * r.id) and l.n < r.n $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k and odd(l.id / 2 + r.id) $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k and odd(l.id + r.id)) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k and odd(l.id + r.id)) $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l join r on odd(l.id * r.id) $$);
-- without keys: every pair is asked about
select * from compare($$ select l.id, r.id from l left join r on odd(l.id * r.id) and l.id < 40 $$);
select * from compare($$ select l.id, r.id from l right join r on r.id < 20 and odd(l.id + r.id) and l.id < r.id $$);
select * from compare($$ select l.id, r.id from l left join (select * from r where id < 0) r on odd(l.id * r.id) $$);
select * from compare($$ select l.id from l where exists (select from r where odd(l.id / 100 * r.id) and r.id < 30) $$);
select * from compare($$ select l.id from l where not exists (select from r where odd(l.id / 100 * r.id)) $$);
select * from compare($$ select l.id from l where exists (select from r where odd(l.id / 100 * r.id) and r.id < 0) $$);
-- full joins: rows of both sides that match nothing, each once; of several candidates one holds, all or none
select * from compare($$ select l.id, r.id, r.t from l full join r on l.k = r.k and odd(l.id * r.id / 7) $$);
select * from compare($$ select count(*) from l full join r on l.k = r.k and odd(l.id * r.id / 7) where l.id is null $$);
select * from compare($$ select l.n from l full join r on l.k = r.k and r.id < 40 and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k and odd(2 * l.id) $$);
select * from compare($$ select l.id, r.id from l full join (select * from r where id < 0) r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from (select * from l where id < 0) l full join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select a.id, b.id, c.id from l a full join r b on a.k = b.k and odd(a.id + b.id) full join l c on c.id = b.id and odd(c.id / 3) $$);
-- by equalities that are PostgreSQL's alone, of any number of columns, with NULLs
create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create type two as (a int, b text);
create table odds (id int, a int[], d jsonb, c text collate blind, g int4range, w two);
insert into odds select i, case when i % 6 > 0 then array[i % 20, null, i % 3] end, case when i % 7 > 0 then jsonb_build_object('k', i % 15) end,
       case when i % 5 > 0 then chr(65 + i % 2 * 32 + i % 13) end, int4range(i % 9, i % 9 + 4), row(i % 4, nullif(i % 3, 1))::two from generate_series(1, 300) i;
analyze odds;
select * from compare($$ select x.id, y.id from odds x full join odds y on x.a = y.a $$);
select * from compare($$ select x.id, y.id, y.d from odds x full join odds y on x.d = y.d and x.id < y.id $$);
select * from compare($$ select x.id, y.id from odds x full join odds y on x.c = y.c and y.id < 100 $$);
select * from compare($$ select x.c, y.id from odds x full join odds y on x.c = y.c and x.a = y.a where y.id is null or x.id is null $$);
select * from compare($$ select x.id, y.id from odds x full join odds y on x.g = y.g and x.w = y.w $$);
select * from compare($$ select x.id, y.id from odds x full join odds y on x.id = y.id + 1 and x.a <> y.a $$);
select * from compare($$ select count(*), count(x.id), count(y.id) from odds x full join odds y on x.a = y.a and x.c = y.c $$);
select * from compare($$ select x.id, y.id from (select * from odds where id < 20) x full join (select * from odds where id < 30) y on true $$);
select * from compare($$ select x.id, y.id from (select * from odds where id < 0) x full join odds y on true $$);
set max_parallel_workers_per_gather = 0;
explain (costs off) select x.id, y.id from odds x full join odds y on x.a = y.a;
reset max_parallel_workers_per_gather;
-- one probe row with more candidates than a batch has rows
create table wide_run as select i from generate_series(1, 20000) i;
analyze wide_run;
select * from compare($$ select o.i, w.i from (values (1), (2), (3)) o (i) left join wide_run w on w.i % 2 = o.i % 2 and odd(w.i / 20000 + o.i) $$);
select * from compare($$ select o.i, w.i from (values (1), (2), (3)) o (i) full join wide_run w on w.i % 2 = o.i % 2 and odd(w.i / 20000 + o.i) $$);
-- trees
select * from compare($$ select a.id, b.id, c.id from l a left join (r b join l c on b.id = c.id) on a.k = b.k and c.n < 20 $$);
select * from compare($$ select a.id, b.id, c.id from l a full join r b on a.id = b.id left join l c on coalesce(a.k, b.k) = c.id $$);
select * from compare($$ select a.id from l a where exists (select from r b where a.k = b.k and not exists (select from l c where c.id = b.id and c.k = a.k)) $$);
-- expressions of subqueries, which outer joins turn NULL
select * from compare($$ select l.id, s.x, s.y from l left join (select k, coalesce(t, 'none') x, n * 2 y from r) s on l.k = s.k $$);
select * from compare($$ select l.id, s.x from l left join (select a.k, a.n + b.n as x, 'both' as c from r a join r b on a.id = b.id + 1) s on l.k = s.k and s.c = 'both' where s.x is null or s.x > 30 $$);
select * from compare($$ select l.id, s.z from l left join (select k, coalesce(ctid::text, 'none') z from r) s on l.k = s.k $$);
-- clauses with subqueries: above the plan
select * from compare($$ select l.id, r.id from l join r on l.k = r.k where r.n > (select avg(n) from r s where s.k = l.k) $$);
select * from compare($$ select l.id, r.id from l join r on l.k = r.k left join r r2 on r2.id = l.id where r.n > (select avg(n) from r s where s.k = l.k) $$);
-- expressions with parameters that have no form of their own
prepare with_numeric(numeric) as
    select l.id, s.x from l left join (select a.k, a.n + b.n + $1 as x from r a join r b on a.id = b.id + 1) s on l.k = s.k;
set plan_cache_mode = force_generic_plan;
select plan_has_joinscan('execute with_numeric(1.5)');
reset plan_cache_mode;
select prepared_agrees('(numeric)', 'select l.id, s.x from l left join
    (select a.k, a.n + b.n + $1 as x from r a join r b on a.id = b.id + 1) s on l.k = s.k', '1.50', '''NaN''', 'null');

-- keys that PostgreSQL computes: a column of the side that has it
create table doc as select i id, format('{"k":"k%s","n":%s}', i % 60, i)::jsonb d, timestamptz '2020-01-01' + i * interval '5 hours' seen,
    case when i % 9 > 0 then ' K' || i % 50 || ' ' end t, ('10.0.0.' || i % 70 || '/24')::inet host from generate_series(1, 600) i;
create table day as select date '2020-01-01' + i as day, 'k' || i as k, '10.0.0.' || i as address, i from generate_series(-5, 80) i;
analyze doc, day;
create function keys_of(query text) returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute 'explain (costs off) ' || query loop
        if line ~ 'Hash .*Join|Hash Join|Nested Loop|Cond|PostgreSQL|Computes' then
            return next regexp_replace(line, '^ *(-> *)?', '');
        end if;
    end loop;
end $$;
set max_parallel_workers_per_gather = 0;
select keys_of('select doc.id, day.i from doc join day on doc.d ->> ''k'' = day.k');
select keys_of('select doc.id, day.i from doc left join day on doc.seen::date = day.day and btrim(initcap(doc.t)) = initcap(day.k)');
-- one that may raise an error is none, nor one whose equality is not native
select keys_of('select doc.id, day.i from doc join day on (doc.d ->> ''n'')::int = day.i');
select keys_of('select doc.id, day.i from doc join day on doc.d -> ''n'' = to_jsonb(day.i)');
reset max_parallel_workers_per_gather;
select * from compare($$ select doc.id, day.i from doc join day on doc.d ->> 'k' = day.k $$);
select * from compare($$ select doc.id, day.i from doc left join day on doc.d ->> 'k' = day.k $$);
select * from compare($$ select doc.id, day.i from doc full join day on doc.d ->> 'k' = day.k $$);
select * from compare($$ select day.i from day where exists (select from doc where doc.d ->> 'k' = day.k) $$);
select * from compare($$ select day.i from day where not exists (select from doc where doc.d ->> 'k' = day.k) $$);
select * from compare($$ select doc.id, day.i from doc join day on doc.seen::date = day.day $$);
select * from compare($$ select doc.id, day.i from doc right join day on doc.seen::date = day.day and initcap(doc.t) < day.k $$);
select * from compare($$ select doc.id, day.i from doc join day on btrim(initcap(doc.t)) = initcap(day.k) and doc.seen::date <> day.day $$);
select * from compare($$ select doc.id, day.i from doc left join day on host(doc.host) = day.address $$);
select * from compare($$ select a.id, b.id, day.i from doc a join doc b on a.d ->> 'k' = b.d ->> 'k' join day on day.k = a.d ->> 'k' where a.id < 100 and b.id < 100 $$);
select * from compare($$ select s.c, day.i from (select initcap(t) as t, count(*) as c from doc group by 1) s join day on btrim(initcap(s.t)) = initcap(day.k) $$);
select * from compare($$ select l.id, s.x from l left join (select a.id, a.d ->> 'k' as k, coalesce(b.t, 'none') x from doc a left join doc b on b.id = a.id + 3) s on l.t = s.k and s.x <> '' $$);
set timezone = 'Asia/Tokyo';
select * from compare($$ select doc.id, day.i from doc left join day on doc.seen::date = day.day $$);
reset timezone;

-- columns that are equal to one of a semi-join's inner side
set join_collapse_limit = 1;
set from_collapse_limit = 1;
select * from compare($$ select s.id, c.id from (select a.id, a.k from r a where exists (select from l b where b.k = a.k)) s join l c on c.k = s.k $$);
select * from compare($$ select s.id, c.id, d.id from (select a.id, a.k from r a where exists (select from l b where b.k = a.k)) s join l c on c.k = s.k join r d on d.k = c.k where d.id < 20 $$);
select * from compare($$ select s.id, c.id from (select a.id, a.t from l a where exists (select from day b where b.k = a.t)) s join l c on c.t = s.t where c.id < 30 $$);
reset join_collapse_limit;
reset from_collapse_limit;
-- who may execute what a plan computes is asked before the first row
create role joiner;
grant usage on schema pgjs_test to joiner;
grant select on l, r to joiner;
revoke execute on function odd(int) from public;
set role joiner;
select * from compare_outcome($$ select l.id from l join r on l.k = r.k and odd(l.id + r.id) where l.id < 0 $$);
reset role;
drop owned by joiner;
drop role joiner;
