-- Values that are known only when the query runs: prepared statements, PL/pgSQL, InitPlans, correlated subqueries. The
-- answers are PostgreSQL's, whether JoinScan takes the query or not.
set joinscan.enabled = on;

-- ---- prepared statements ----
select plan_has_joinscan('select p.id, b.id from purchase p join buyer b on p.buyer = b.id where b.nation = 3') as taken;
select prepared_agrees('(int)', 'select p.id, b.id from purchase p join buyer b on p.buyer = b.id where b.nation = $1',
    '3', '4', '-1', 'null', '3');
select prepared_agrees('(bigint, smallint)', 'select p.id, l.pos from purchase p join line l on p.id = l.purchase
    where p.id < $1 and l.quantity > $2', '100, 3', '9223372036854775807, 49', '0, null', '500, -32768');
select prepared_agrees('(text)', 'select count(*), max(p.id) from purchase p join buyer b on p.buyer = b.id where b.segment = $1',
    '''BUILDING''', '''BUILDING  ''', '''building''', '''''', 'null');
select prepared_agrees('(char(10), varchar, text)', 'select p.id, b.segment from purchase p join buyer b on p.buyer = b.id
    where b.segment = $1 and p.note between $2 and $3', '''BUILDING'', ''note 1'', ''note 3''', '''MACHINERY '', ''note 5'', ''''', '''BUILDING'', null, null');
select prepared_agrees('(date, timestamp, timestamptz)', 'select p.id, l.pos from purchase p join line l on p.id = l.purchase
    where p.placed < $1 and l.shipped > $2 and l.shipped < $3',
    '''2020-06-01'', ''2020-03-01'', ''infinity''', '''infinity'', ''-infinity'', ''2021-01-01 00:00:00+02''', '''-infinity'', null, null');
select prepared_agrees('(numeric, numeric)', 'select p.id, l.price from purchase p join line l on p.id = l.purchase
    where p.total > $1 and l.price < $2', '4000, 100.005', '''NaN'', 5', '-1e40, 1e40', '0.000000000000001, ''Infinity''', 'null, 1');
select prepared_agrees('(float4, float8)', 'select p.id, d.weight from product d join line l on l.product = d.id join purchase p
    on p.id = l.purchase where d.weight > $1 and d.weight < $2', '1, 2', '''NaN'', ''NaN''', '''-Infinity'', ''Infinity''', '-0.0, 1e-300');
select prepared_agrees('(boolean)', 'select b.id, n.name from buyer b join nation n on b.nation = n.id where $1 or b.id < 5',
    'true', 'false', 'null');
select prepared_agrees('(int[], text[])', 'select b.id, p.id from buyer b join purchase p on p.buyer = b.id
    where b.id = any ($1) and b.segment <> all ($2)',
    '''{1,2,3}'', ''{BUILDING}''', '''{}'', ''{}''', '''{1,null,3}'', ''{null}''', 'null, null', '''{{1,2},{3,4}}'', ''{}''');
select prepared_agrees('(text, text)', 'select b.id, p.id from buyer b join purchase p on p.buyer = b.id
    where b.segment like $1 and p.note not like $2',
    '''B%'', ''note 1_''', '''%'', ''%\\%''', '''_UILDING%'', null', '''%\'', ''x''', ''''', ''''');
-- where the parameter stands
select prepared_agrees('(int)', 'select $1 + b.id, $1 from buyer b join nation n on b.nation = n.id', '1', 'null', '2147483647', '2147482647');
select prepared_agrees('(int)', 'select b.id, p.id from buyer b join purchase p on p.buyer = b.id + $1', '0', '1', 'null', '2147483647');
select prepared_agrees('(int)', 'select b.id, p.id from buyer b join purchase p on p.buyer = b.id where 10 / (b.id - $1) > 1', '0', '-5', '7', '2147483647');
select prepared_agrees('(int)', 'select b.id, p.id from buyer b join purchase p on p.buyer = b.id
    where case when b.id > $1 then 1 / (b.id - $1) else 0 end = 1', '7', '999', '2000', 'null');
select prepared_agrees('(int)', 'select b.nation % $1, count(*), sum(p.total) from buyer b join purchase p on p.buyer = b.id
    group by 1 having count(*) > $1', '3', '7', 'null', '0');
select prepared_agrees('(int)', 'select b.id, p.id from buyer b left join purchase p on p.buyer = b.id and p.id < $1', '0', '100', 'null');
select prepared_agrees('(int)', 'select b.id from buyer b where b.id not in (select p.buyer from purchase p where p.id < $1)', '0', '50', '98', 'null');
select prepared_agrees('(int, int)', 'select b.id from buyer b join nation n on b.nation = n.id where $1 = $2', '1, 1', '1, 2', 'null, null');
-- LIMIT and OFFSET
select prepared_agrees('(bigint)', 'select p.id, l.pos from purchase p join line l on p.id = l.purchase order by 1, 2 limit $1',
    '0', '5', 'null', '-1', '9223372036854775807');
select prepared_agrees('(bigint, bigint)', 'select p.id, l.pos from purchase p join line l on p.id = l.purchase order by 1 desc, 2 limit $1 offset $2',
    '5, 5', 'null, 23900', '10, null', '1, -1', '10, 9223372036854775807');
select prepared_agrees('(int)', 'select p.id from purchase p join line l on p.id = l.purchase order by 1 fetch first $1 rows with ties', '1', '4', '7');
select prepared_agrees('(int)', 'select x.n from (select count(*) as n from
    (select p.id from purchase p join line l on p.id = l.purchase limit $1) y) x', '3', '30000', '0');

-- ---- EXECUTE … USING, and variables of PL/pgSQL ----
create function by_variable(top int, pattern text) returns table (n bigint, s numeric, m text) language plpgsql as $$
declare
    start date := date '2020-01-01';
    r record;
begin
    for i in 1 .. top loop
        start := start + i;
        select count(*) as c, sum(l.price) as total into r
          from purchase p join line l on p.id = l.purchase join buyer b on p.buyer = b.id
         where p.placed < start and b.segment = pattern and l.quantity > i;
        n := r.c;
        s := r.total;
        execute 'select max(b.segment) from buyer b join purchase p on p.buyer = b.id where p.placed = $1 and b.id <> $2'
            into m using start, i;
        return next;
    end loop;
end $$;
select agrees($$ select * from by_variable(12, 'BUILDING') $$);
select agrees($$ select * from by_variable(12, null) $$);
set plan_cache_mode = force_generic_plan;
select agrees($$ select * from by_variable(3, 'MACHINERY') $$);
reset plan_cache_mode;
-- a row's fields, an assignment, a condition, a RETURN QUERY
create function by_fields(int) returns setof record language plpgsql as $$
declare
    b buyer%rowtype;
    n bigint;
begin
    for b in select * from buyer where id <= $1 order by id loop
        n := (select count(*) from purchase p join line l on p.id = l.purchase where p.buyer = b.id);
        if exists (select from purchase p join line l on p.id = l.purchase where p.buyer = b.id and l.price > 9000) then
            n := n + 1000;
        end if;
        return query select b.id, n, p.id from purchase p join line l on p.id = l.purchase
            where p.buyer = b.id and p.total > b.balance;
    end loop;
end $$;
select agrees($$ select * from by_fields(20) x (a int, b bigint, c bigint) $$);
-- SQL functions, inlined and not
create function inlined(int) returns setof bigint language sql stable as $$
    select p.id from purchase p join buyer b on p.buyer = b.id where b.nation = $1 $$;
create function not_inlined(int, out n bigint) language sql volatile as $$
    select count(*) from purchase p join buyer b on p.buyer = b.id where b.nation = $1 $$;
select agrees($$ select * from inlined(3) $$);
select agrees($$ select n.id, i from nation n, inlined(n.id) i where n.region = 2 $$);
select agrees($$ select n.id, not_inlined(n.id) from nation n $$);

-- ---- InitPlans ----
select agrees($$ select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total = (select max(total) from purchase) $$);
select agrees($$ select p.id, (select max(id) from buyer) from purchase p join line l on p.id = l.purchase where l.pos = 1 $$);
select agrees($$ select p.id from purchase p join line l on p.id = l.purchase where p.id = (select id from buyer) $$);
select agrees($$ select p.id from purchase p join line l on p.id = l.purchase where exists (select from buyer where id < 0) $$);
select agrees($$ select p.id from purchase p join line l on p.id = l.purchase where p.buyer in (select id from buyer where balance > (select avg(balance) from buyer)) $$);
select agrees($$ select p.id from purchase p join line l on p.id = l.purchase order by p.id, l.pos limit (select count(*) from nation) $$);
select agrees($$ select p.id, array(select id from region order by 1) from purchase p join buyer b on p.buyer = b.id where p.id < 30 $$);

-- ---- correlated subqueries ----
select agrees($$ select n.id, (select count(*) from buyer b join purchase p on p.buyer = b.id where b.nation = n.id) from nation n $$);
select agrees($$ select n.id from nation n where 264 < (select count(*) from buyer b join purchase p on p.buyer = b.id where b.nation = n.id) $$);
select agrees($$ select n.id, array(select p.id from buyer b join purchase p on p.buyer = b.id where b.nation = n.id order by 1 limit n.region) from nation n $$);
select agrees($$ select b.id from buyer b join nation n on b.nation = n.id where b.balance > (select avg(c.balance) from buyer c where c.nation = b.nation) $$);
select agrees($$ select r.id, (select sum((select count(*) from buyer b join purchase p on p.buyer = b.id
    where b.nation = n.id and p.id < 1000 * r.id)) from nation n where n.region = r.id) from region r $$);
select agrees($$ select n.id, x.* from nation n left join lateral (select b.id, p.total from buyer b join purchase p on p.buyer = b.id
    where b.nation = n.id and p.total > 100 * n.id order by p.total desc, b.id limit 3) x on true $$);
select agrees($$ select n.id, x.c from nation n, lateral (select count(*) as c from buyer b join purchase p on p.buyer = b.id
    where b.nation = n.id) x where x.c > any (select 100 * id from region) $$);
-- a correlated one that raises for one outer row
select agrees($$ select n.id, (select sum(p.id + 10 / (n.id - 7)) from buyer b join purchase p on p.buyer = b.id where b.nation = n.id) from nation n $$);
select agrees($$ select n.id, (select b.id from buyer b join purchase p on p.buyer = b.id where b.nation = n.id) from nation n $$);
-- recursion: the working table is new each time
select agrees($$ with recursive r (id, depth) as (select 2::bigint, 0 union all
    select p.id, r.depth + 1 from r join buyer b on b.id = r.id join purchase p on p.buyer = b.id where r.depth < 3 and p.id < 1000)
    select * from r $$);

-- ---- the table is another one at the next execution ----
create table altered (id int, k int, v text);
insert into altered select i, i % 25, 'v' || i from generate_series(1, 400) i;
analyze altered;
create function altered_rows() returns text language plpgsql as $$
declare
    off record;
    leader record;
begin
    set local joinscan.enabled = off;
    off := rows_of('select a.id, n.name, a.v from altered a join nation n on a.k = n.id where a.id > 100');
    set local joinscan.enabled = on; -- the plan may have to be made anew
    leader := rows_of('execute by_id (100)');
    return case when off = leader then off.rows || ' rows' else format('DIFFERENT: %s, %s', off, leader) end;
end $$;
set plan_cache_mode = force_generic_plan;
prepare by_id (int) as select a.id, n.name, a.v from altered a join nation n on a.k = n.id where a.id > $1;
prepare all_columns as select * from altered a join nation n on a.k = n.id;
select plan_has_joinscan('execute by_id (1)') as taken;
select altered_rows();
insert into altered select i, i % 25, 'w' || i from generate_series(401, 500) i;
select altered_rows();
delete from altered where id % 2 = 0;
select altered_rows();
update altered set v = null where id % 3 = 0;
select altered_rows();
create index on altered (id);
vacuum altered;
select altered_rows();
select count(*) from (select rows_of('execute all_columns')) x;
alter table altered add column extra int default 7;
select altered_rows();
\set VERBOSITY sqlstate
execute all_columns;
\set VERBOSITY default
alter table altered drop column extra;
select altered_rows();
alter table altered alter column k type bigint;
select altered_rows();
alter table altered add column filler text default 'filler';
alter table altered drop column filler;
insert into altered values (1001, 3, 'after the drop');
select altered_rows();
vacuum full altered;
select altered_rows();
alter table altered rename column v to w;
alter table altered add column v text default 'new';
select rows from rows_of('execute by_id (100)');
alter table altered drop column v;
alter table altered rename column w to v;
begin;
truncate altered;
select altered_rows();
rollback;
select altered_rows();
-- the table behind the name is another
begin;
alter table altered rename to moved;
create table altered (v text, k int, id int);
insert into altered select 'new', 1, i from generate_series(50, 150) i;
select altered_rows();
rollback;
select altered_rows();
-- the search path decides
create schema pgjs_other;
create table pgjs_other.altered as select 200 as id, 5 as k, 'other' as v;
set search_path = pgjs_other, pgjs_test, public;
select altered_rows();
set search_path = pgjs_test, public;
select altered_rows();
drop schema pgjs_other cascade;
-- dropped, and there again
drop table altered;
\set VERBOSITY sqlstate
execute by_id (100);
\set VERBOSITY default
create table altered (id int, k int, v varchar(10));
insert into altered values (101, 1, 'again');
\set VERBOSITY sqlstate
execute by_id (100);
\set VERBOSITY default
reset plan_cache_mode;
select workers_left();
