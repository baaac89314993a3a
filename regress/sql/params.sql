-- Values that are known only when the query runs.
set joinscan.enabled = on;
prepare by_segment(text, date) as
    select count(*), sum(l.price) from buyer b join purchase p on b.id = p.buyer join line l on l.purchase = p.id
     where b.segment = $1 and p.placed < $2;
set plan_cache_mode = force_generic_plan;
select plan_has_joinscan('execute by_segment(''BUILDING'', ''2020-09-01'')') as generic;
execute by_segment('BUILDING', '2020-09-01');
execute by_segment('MACHINERY', '2021-09-01');
execute by_segment(null, '2021-09-01');
execute by_segment('BUILDING', '2020-09-01');
set plan_cache_mode = force_custom_plan;
execute by_segment('BUILDING', '2020-09-01');
set joinscan.enabled = off;
execute by_segment('BUILDING', '2020-09-01');
execute by_segment('MACHINERY', '2021-09-01');
execute by_segment(null, '2021-09-01');
set joinscan.enabled = on;
reset plan_cache_mode;
prepare by_list(int[]) as select p.id from purchase p join buyer b on p.buyer = b.id where b.id = any ($1) and p.id < 2000 order by 1;
set plan_cache_mode = force_generic_plan;
execute by_list('{1,2,3}');
execute by_list('{}');
execute by_list(null);
prepare by_number(numeric, float8, timestamp) as
    select count(*) from purchase p join line l on p.id = l.purchase join product d on d.id = l.product
     where p.total > $1 and d.weight < $2 and l.shipped >= $3;
execute by_number(1234.5, 10, '2020-05-01');
execute by_number('NaN', 'NaN', '-infinity');
execute by_number(0, 'Infinity', 'infinity');
reset plan_cache_mode;

-- initplans: run once, before the workers start
select * from compare($$
    select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total > (select avg(total) from purchase) $$);
select * from compare($$
    select p.id from purchase p join buyer b on p.buyer = b.id where b.nation = (select max(id) from nation where id < 0) $$);
-- an initplan that is a join itself
select * from compare($$
    select p.id, l.pos from purchase p join line l on p.id = l.purchase
     where p.buyer = (select max(b.id) from buyer b join nation n on b.nation = n.id where n.name = 'nation 3') $$);

-- rescans: the inner side of a nested loop, and correlated subqueries
set enable_material = off;
select * from compare($$
    select r.id, x.n from region r, (select count(*) as n from purchase p join buyer b on p.buyer = b.id) x where r.id >= 0 $$);
select * from compare($$
    select r.id, (select sum(b.balance) from buyer b join nation n on b.nation = n.id where n.region = r.id) from region r $$);
select * from compare($$
    select n.id, (select max(p.total) from purchase p join buyer b on p.buyer = b.id where b.nation = n.id and p.id < 500 * n.region) from nation n $$);
select * from compare($$
    select n.id from nation n where exists
        (select from purchase p join buyer b on p.buyer = b.id where b.nation = n.id and p.total > 4999) $$);
select * from compare($$
    select r.id, x.id from region r, lateral
        (select p.id from purchase p join buyer b on p.buyer = b.id where b.nation = r.id order by p.id offset 0 limit 3) x $$);
set enable_hashjoin = off;
set enable_mergejoin = off;
select * from compare($$
    select r.id, x.k from region r left join
        (select b.nation % 5 as k from buyer b join purchase p on p.buyer = b.id where p.id < 50) x on x.k < r.id $$);
reset enable_hashjoin;
reset enable_mergejoin;
reset enable_material;
-- CTEs
select * from compare($$
    with w as materialized (select p.id, b.nation from purchase p join buyer b on p.buyer = b.id)
    select x.id, y.nation from w x join w y on x.id = y.id $$);
-- parameters in views and SQL functions
create function of_nation(int) returns setof bigint language sql stable as $$
    select p.id from purchase p join buyer b on p.buyer = b.id where b.nation = $1 $$;
select * from compare($$ select n.id, f from nation n, of_nation(n.id) f where n.id < 5 $$);
-- a value that has no form in the plan: known only when it comes, so such parameters stay out
prepare by_pattern(text) as select count(*) from purchase p join buyer b on p.buyer = b.id where b.segment like $1;
prepare by_numbers(numeric[]) as select count(*) from purchase p join line l on p.id = l.purchase where p.total = any ($1);
set plan_cache_mode = force_generic_plan;
\set VERBOSITY sqlstate
execute by_pattern('BUILD%');
execute by_pattern('BUILDING\');
execute by_numbers('{Infinity,1e50,NaN}');
\set VERBOSITY default
reset plan_cache_mode;
-- an initplan with side effects: not before a row needs it
create sequence taken;
select count(*) from purchase p join buyer b on p.buyer = b.id where p.id < -5 and b.nation = (select nextval('taken'));
select is_called from taken;
