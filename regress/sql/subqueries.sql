-- Conditions with subqueries below what stands on the joins: a filter in the leader, on rows that are gathered.
create schema subqueries;
set search_path = subqueries, pgjs_test, public;
create table part (p int primary key, brand text, n numeric(10, 2));
create table item (l int, p int, qty numeric(10, 2), price numeric(12, 2), note text);
insert into part select i, 'brand ' || i % 7, i * 1.25 from generate_series(1, 300) i;
insert into item
    select i, case when i % 41 > 0 then 1 + i % 320 end, i * 7919 % 50, i % 1000, case when i % 5 > 0 then 'note ' || i % 11 end
      from generate_series(1, 6000) i;
create index on item (p);
-- worth two workers
alter table part set (parallel_workers = 2);
alter table item set (parallel_workers = 2);
analyze part, item;
-- A condition that makes workers worth their rows' way to the leader.
create function dear(i int) returns boolean language plpgsql immutable parallel safe cost 1000 as 'begin return i % 10 > 0; end';
create function over_join(list text, rest text default '', out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare(format('select %s from (select * from item where dear(l)) i join part p on i.p = p.p %s', list, rest))
$$;
-- one value for each row: groups, DISTINCT, windows, HAVING besides
select * from over_join('sum(price) / 7.0', 'where brand = ''brand 3'' and qty < (select 0.2 * avg(qty) from item x where x.p = p.p)');
select * from over_join('brand, count(*), sum(price), max(note)', 'where qty < (select avg(qty) from item x where x.p = p.p) group by brand');
select * from over_join('brand || note, count(distinct qty)', 'where qty < (select avg(qty) from item x where x.p = p.p) group by 1 having sum(price) > 10');
select * from over_join('distinct brand, note', 'where qty < (select avg(qty) from item x where x.p = p.p)');
select * from over_join('l, rank() over (partition by brand order by price, l)', 'where qty < (select avg(qty) from item x where x.p = p.p)');
-- a condition that PostgreSQL evaluates after the subquery's, one whose value is NULL, one with no rows
select * from over_join('count(*), sum(qty)', 'where qty > (select avg(qty) from item x where x.p = p.p) and price < n + (select max(n) from part y where y.p < i.p % 30)');
select * from over_join('count(*)', 'where qty > (select x.n from part x where x.p = -p.p)');
-- EXISTS, IN: subqueries that are hashed, or are not
select * from over_join('brand, count(*)', 'where exists (select from item x where x.p = p.p and x.qty > i.qty) or p.n > 350 group by brand');
select * from over_join('brand, count(*)', 'where (i.qty, p.n) in (select qty, p from item) or p.n > 350 group by brand');
select * from over_join('count(*), sum(price)', 'where i.qty + p.n not in (select x.qty from item x where x.p > 20) group by note');
select * from over_join('count(*)', 'where i.p + p.n = any (array(select x.qty from item x where x.p = p.p))');
-- HAVING, and what stands on it
select * from over_join('brand, sum(price)', 'group by brand having sum(price) > (select avg(n) * 2000 from part x where x.brand < p.brand)');
select agrees_in_order($$ select brand, note, sum(price) from item i join part p on i.p = p.p group by brand, note
    having sum(qty) > (select avg(n) from part x where x.brand = p.brand) order by 3 desc, 1, 2 limit 5 $$);
select agrees_in_order($$ select l, brand from item i join part p on i.p = p.p
    where qty < (select avg(qty) from item x where x.p = p.p) order by price desc, l limit 20 $$);
-- the parts of the plan
create function plan_of(query text) returns setof text language plpgsql as $$
begin
    return query execute 'explain (costs off) ' || query;
end $$;
select plan_of($$ select brand, sum(price) from item i join part p on i.p = p.p
    where dear(l) and qty < (select avg(qty) from item x where x.p = p.p) group by brand order by brand collate "C" $$);
-- in so many rows a hash table pays
select plan_of($$ select count(*) from item i join part p on i.p = p.p
    where exists (select from item x where x.p = p.p and x.qty = i.price) or p.n > 350 $$);
select * from over_join('count(*)', 'where exists (select from item x where x.p = p.p and x.qty = i.price) or p.n > 350');
-- another query around it: each row a new run, with nothing left of the last
select agrees($$ select o.p, (select count(*) from item i join part p on i.p = p.p
    where i.qty < (select avg(x.qty) from item x where x.p = p.p and x.l > o.p * 10) and p.p < o.p) from part o where o.p < 20 $$);
select agrees($$ select o.p, (select sum(i.price) from item i join part p on i.p = p.p
    where (p.n in (select x.qty from item x where x.p < o.p) or p.p = 7) and p.p < 50) from part o where o.p < 20 $$);
select prepared_agrees('(numeric, int)', 'select brand, count(*) from item i join part p on i.p = p.p
    where qty < (select $1 * avg(qty) from item x where x.p = p.p) and i.l > $2 group by brand', '0.5, 100', '0.2, 5', 'null, 5', '2, null');
-- a JoinScan in the subquery
select * from over_join('brand, count(*)', 'where p.p < 20 and qty < (select avg(qty) from item x join part y on x.p = y.p where y.brand = p.brand) group by brand');
-- an InitPlan within, which not every row needs
select * from over_join('count(*)', 'where case when i.qty < 100 then i.qty < (select avg(qty) from item x where x.p = p.p) else i.qty = (select 1 / (p - 1) from part where p = 1) end');
-- errors: in the subquery, of its number of rows; and a row that fails an earlier condition meets none after it
select * from compare_outcome($$ select count(*) from item i join part p on i.p = p.p where dear(l) and qty < (select sum(1 / (x.qty - 3)) from item x where x.p = p.p) $$);
select * from compare_outcome($$ select count(*) from item i join part p on i.p = p.p where qty < (select x.qty from item x where x.p = p.p) $$);
select * from compare_outcome($$ select count(*) from item i join part p on i.p = p.p where dear(l) and p.n < 10000 and qty < (select 1 / (x.p - p.p) from part x where x.p = p.p) $$);
select * from compare_outcome($$ select count(*) from item i join part p on i.p = p.p where p.n > 10000 and qty < (select 1 / (x.p - p.p) from part x where x.p = p.p) $$);
-- a cursor that is closed early, LIMIT above
begin;
declare c cursor for select brand, note, count(*) from item i join part p on i.p = p.p
    where qty < (select avg(qty) from item x where x.p = p.p) group by brand, note order by brand collate "C", note collate "C";
fetch 2 from c;
close c;
commit;
select agrees($$ select 1 from item i join part p on i.p = p.p where qty < (select avg(qty) from item x where x.p = p.p) group by brand limit 3 $$);
-- volatile functions: for each row of the joins, once
create sequence seen;
select plan_has_joinscan($$ select count(*) from item i join part p on i.p = p.p where nextval('seen') > 0 and i.p = 7 $$);
select count(*) from item i join part p on i.p = p.p where nextval('seen') > 0 and i.p = 7;
select last_value from seen;
