-- Partitioned and inherited tables: all participants read the tables below them.
create schema pgjs_partitions;
set search_path = pgjs_partitions, pgjs_test, public;

-- Where the rows of the partitioned and inherited tables of a query come from: of how many tables each, if it is scanned.
create function sources(query text, options text default 'costs off') returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute format('explain (%s) %s', options, query) loop
        if line ~ '(Heap Scan on|Tables|PostgreSQL Plan)' then
            return next trim(leading ' ->' from regexp_replace(line, ' \(.*', ''));
        end if;
    end loop;
end $$;

-- by range; partitions with their columns in other places, with dropped ones, with added ones, an empty one, a default
create table sales (id int, buyer int, placed date, total numeric(12, 2), note text collate "C") partition by range (placed);
create table sales_2019 partition of sales for values from ('2019-01-01') to ('2020-01-01');
create table sales_2020 (note text collate "C", junk int, total numeric(12, 2), id int, placed date, buyer int);
alter table sales_2020 drop column junk;
alter table sales attach partition sales_2020 for values from ('2020-01-01') to ('2021-01-01');
create table sales_2021 partition of sales for values from ('2021-01-01') to ('2022-01-01');
create table sales_empty partition of sales for values from ('2022-01-01') to ('2023-01-01');
create table sales_rest (gone text, total numeric(12, 2), placed date, buyer int, note text collate "C", id int);
insert into sales_rest (gone, total, placed, buyer, note, id) select 'g', i, null, i, 'old', -i from generate_series(1, 50) i;
alter table sales_rest drop column gone;
alter table sales attach partition sales_rest default;
insert into sales
    select i, i % 300, date '2019-01-01' + i % 1500, i * 1.25, case when i % 7 > 0 then 'note ' || i % 13 end
      from generate_series(1, 6000) i;
-- filled in for the rows that are there, differently in a partition that comes later
alter table sales add column rate float8 default 0.5;
alter table sales add column state text default 'new';
create table sales_2030 (state text default 'later', rate float8 default 9, id int, buyer int, placed date, total numeric(12, 2), note text collate "C");
insert into sales_2030 (id, buyer, placed, total) select i, i - 10000, '2030-01-01', 'NaN' from generate_series(10001, 10100) i;
alter table sales attach partition sales_2030 for values from ('2030-01-01') to ('2031-01-01');
-- by list, below it by hash and by range
create table parcel (id int, kind text, weight int) partition by list (kind);
create table parcel_small partition of parcel for values in ('small', 'tiny') partition by hash (id);
create table parcel_small0 partition of parcel_small for values with (modulus 3, remainder 0);
create table parcel_small1 partition of parcel_small for values with (modulus 3, remainder 1);
create table parcel_small2 partition of parcel_small for values with (modulus 3, remainder 2);
create table parcel_large (weight int, kind text, id int) partition by range (weight);
alter table parcel attach partition parcel_large for values in ('large', null);
create table parcel_large1 partition of parcel_large for values from (0) to (500);
create table parcel_large2 (id int, x int, weight int, kind text);
alter table parcel_large2 drop column x;
alter table parcel_large attach partition parcel_large2 for values from (500) to (maxvalue);
insert into parcel select i, (array['small', 'tiny', 'large', null])[i % 4 + 1], i % 1000 from generate_series(1, 5000) i;
-- by an expression
create table daily (at timestamp, v int) partition by list (extract(dow from at));
create table daily_weekend partition of daily for values in (0, 6);
create table daily_week partition of daily default;
insert into daily select timestamp '2024-01-01' + i * interval '7 hours', i from generate_series(1, 1000) i;
-- without partitions, and with one
create table nothing (id int, v int) partition by range (id);
create table single (id int, v int) partition by range (id);
create table single1 (v int, id int);
alter table single attach partition single1 default;
insert into single select i, i * 2 from generate_series(1, 400) i;
-- inherited, from two parents, with columns of its own
create table base (id int, v varchar(20));
create table other (w int);
create table derived (extra int, v varchar(20), id int);
alter table derived inherit base;
create table both_of (more text) inherits (other, base);
create table further () inherits (derived);
insert into base select i, 'b' || i from generate_series(1, 300) i;
insert into derived select i, 'd' || i, i from generate_series(200, 600) i;
insert into both_of (id, v, w, more) select i, 'o' || i, i, 'm' from generate_series(500, 700) i;
insert into further select i, 'f' || i, i from generate_series(650, 900) i;
analyze sales, parcel, daily, nothing, single, base, other, derived, both_of, further;

-- ---- which tables ----
select * from sources('select * from sales s join buyer b on b.id = s.buyer');
select * from sources('select * from sales s join buyer b on b.id = s.buyer where placed >= ''2020-06-01'' and placed < ''2021-06-01''');
select * from sources('select * from sales s join buyer b on b.id = s.buyer where placed = ''2020-06-01''');
select * from sources('select * from sales s join buyer b on b.id = s.buyer where placed is null');
select * from sources('select * from parcel p join buyer b on b.id = p.id');
select * from sources('select * from parcel p join buyer b on b.id = p.id where kind = ''large'' and weight > 600');
select * from sources('select * from daily d join buyer b on b.id = d.v');
select * from sources('select * from nothing n right join buyer b on b.id = n.id');
select * from sources('select * from single s join buyer b on b.id = s.id');
select * from sources('select * from base x join buyer b on b.id = x.id');
select * from sources('select * from only base x join buyer b on b.id = x.id');
select * from sources('select * from derived x join base y on y.id = x.extra');
-- system columns and whole rows are PostgreSQL's to give
select * from sources('select s.tableoid, b.id from sales s join buyer b on b.id = s.buyer');
select * from sources('select s from sales s join buyer b on b.id = s.buyer');
explain (costs off) select s.id, s.total, b.segment from sales s join buyer b on b.id = s.buyer where s.note = 'note 3' and s.placed < '2021-01-01';
explain (costs off, format json) select s.id, b.segment from sales s join buyer b on b.id = s.buyer where s.placed is null;
explain (costs off, verbose) select y.v, b.segment from base y join buyer b on b.id = y.id;

-- ---- the same answers ----
select * from compare('select * from sales s join buyer b on b.id = s.buyer');
select * from compare('select s.state, s.rate, s.note, s.total, b.id from sales s join buyer b on b.id = s.buyer');
select * from compare('select s.note, b.segment from sales s left join buyer b on b.id = s.buyer and s.total > b.balance');
select * from compare('select * from sales s full join purchase p on p.id = s.id and p.placed = s.placed');
select * from compare('select b.* from buyer b where exists (select from sales s where s.buyer = b.id and s.note < ''note 3'')');
select * from compare('select b.* from buyer b where not exists (select from sales s where s.buyer = b.id)');
select * from compare('select s.id, t.id from sales s join sales t on t.id = s.buyer and t.placed < s.placed');
select * from compare('select count(*) from sales s cross join region r');
select * from compare('select from sales s cross join region r');
select * from compare('select * from sales s join buyer b on b.id = s.buyer where placed >= ''2020-06-01'' and placed < ''2021-06-01''');
select * from compare('select * from sales s join buyer b on b.id = s.buyer where placed is null or total = ''NaN''');
select * from compare('select * from sales s join buyer b on b.id = s.buyer where placed = ''1999-01-01''');
select * from compare('select s.id, length(s.note), b.id from sales s join buyer b on b.id = s.buyer where reverse(s.note) > ''1'' and s.total * 2 > b.balance');
select * from compare('select s.tableoid::regclass, s.id, b.id from sales s join buyer b on b.id = s.buyer');
select * from compare('select s, b.id from sales s join buyer b on b.id = s.buyer');
select * from compare('select * from sales s tablesample system (50) repeatable (1) join buyer b on b.id = s.buyer');
select * from compare('select * from parcel p join buyer b on b.id = p.id');
select * from compare('select * from parcel p join parcel q on q.id = p.weight and q.kind = p.kind');
select * from compare('select * from parcel p join buyer b on b.id = p.id where kind = ''small'' and p.id = 77');
select * from compare('select * from parcel p join buyer b on b.id = p.weight where kind is null');
select * from compare('select * from parcel_large p join buyer b on b.id = p.weight');
select * from compare('select * from daily d join buyer b on b.id = d.v where extract(dow from at) = 6');
select * from compare('select * from nothing n right join buyer b on b.id = n.id');
select * from compare('select * from single s join buyer b on b.id = s.id where s.v > 10');
select * from compare('select * from base x join buyer b on b.id = x.id');
select * from compare('select * from only base x join buyer b on b.id = x.id');
select * from compare('select x.extra, y.v from derived x left join base y on y.id = x.extra + 1');
select * from compare('select * from other o join base x on x.id = o.w');
select * from compare('select c.v, n.id from (select s.buyer, coalesce(s.note, ''none'') v from sales s) c right join nation n on n.id = c.buyer');
select * from compare('select x.id, y.id from (select id from sales union all select id from base) x join parcel y on y.id = x.id');
select * from compare('select * from (select buyer, sum(total) from sales group by buyer) s join buyer b on b.id = s.buyer');

-- ---- pruning when the plan runs ----
select prepared_agrees('(date)', 'select s.*, b.segment from sales s join buyer b on b.id = s.buyer where s.placed = $1', '''2020-02-02''', '''2030-01-01''', '''1990-01-01''', 'null');
select prepared_agrees('(date, date)', 'select s.id, s.total, b.segment from sales s join buyer b on b.id = s.buyer where s.placed >= $1 and s.placed < $2', '''2019-05-01'', ''2020-02-02''', '''2022-02-02'', ''2030-01-02''', '''2022-02-02'', ''2020-01-01''');
select prepared_agrees('(text, int)', 'select * from parcel p join buyer b on b.id = p.weight where p.kind = $1 and p.id < $2', '''small'', 4000', '''large'', 5000', '''none'', 5000', 'null, 1');
select prepared_agrees('(int, text)', 'select * from parcel p join parcel q on q.id = p.weight where p.kind = $2 and q.id = $1', '4, ''small''', '14, ''large''');
prepare by_date (date, date) as
    select s.id, b.segment from sales s join buyer b on b.id = s.buyer where s.placed >= $1 and s.placed < $2 and b.id < 10;
set plan_cache_mode = force_generic_plan;
explain (costs off) execute by_date ('2020-03-01', '2021-03-01');
explain (costs off) execute by_date ('2020-03-01', '2020-03-01');
select * from sources('execute by_date (''2022-03-01'', ''2022-04-01'')');
reset plan_cache_mode;
-- stable functions, and values that subqueries find
select * from sources('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed > current_date - 100000');
select * from sources('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2020'', ''YYYY'')');
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2020'', ''YYYY'')');
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed = (select max(placed) from sales where placed < ''2021-02-01'')');
select * from sources('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed = (select max(placed) from sales where placed < ''2021-02-01'')', 'analyze, costs off, timing off, summary off');
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed = (select placed from purchase where id < 0)');
-- of those that were left at the begin
select * from sources('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2021'', ''YYYY'') and s.placed > (select date ''2020-05-05'')', 'analyze, costs off, timing off, summary off');
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2021'', ''YYYY'') and s.placed > (select date ''2020-05-05'')');
select * from compare('select s.id, p.id from sales s join parcel p on p.id = s.id where s.placed >= (select date ''2020-01-01'') and p.kind = (select ''tiny''::text)');
-- other values at each rescan
select * from compare('select n.id, (select count(*) from sales s join buyer b on b.id = s.buyer where s.placed = date ''2020-01-01'' + n.id * 100) from nation n');
select * from compare('select n.id, l.c from nation n, lateral (select count(*) c from parcel p join buyer b on b.id = p.id where p.kind = case when n.id % 2 = 0 then ''small'' else ''large'' end and p.weight > n.id offset 0) l');
-- below a subquery, where range table numbers move
select * from compare('select * from region r join (select s.id, s.total from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2020'', ''YYYY'') order by s.id limit 50) x on x.id % 5 = r.id');
set enable_partition_pruning = off;
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer where s.placed < to_date(''2020'', ''YYYY'')');
reset enable_partition_pruning;

-- ---- joins of partitions with partitions ----
create table sales_note (id int, placed date, text text) partition by range (placed);
create table sales_note_early partition of sales_note for values from ('2019-01-01') to ('2020-01-01');
create table sales_note_late partition of sales_note default;
insert into sales_note select id, placed, 'about ' || id from sales where id % 3 = 0;
analyze sales_note;
set enable_partitionwise_join = on;
set enable_partitionwise_aggregate = on;
select * from compare('select * from sales s join sales_note n on n.id = s.id and n.placed = s.placed');
select * from compare('select s.placed, count(*) from sales s join sales_note n on n.placed = s.placed group by s.placed');
reset enable_partitionwise_join;
reset enable_partitionwise_aggregate;

-- ---- what PostgreSQL reads in the leader ----
-- one partition is temporary, or no table of ours
create temp table passing (id int, v int) partition by range (id);
create temp table passing1 partition of passing for values from (0) to (500);
create temp table passing2 partition of passing default;
insert into passing select i, i from generate_series(1, 900) i;
create temp table base_temp () inherits (base);
insert into base_temp select i, 't' || i from generate_series(1, 30) i;
analyze passing;
select * from compare('select * from passing p join buyer b on b.id = p.id');
select * from compare('select * from base x join buyer b on b.id = x.id');
drop table base_temp;
create foreign data wrapper pgjs_none;
create server pgjs_none foreign data wrapper pgjs_none;
create table mixed (id int, v int) partition by range (id);
create table mixed1 partition of mixed for values from (0) to (1000);
create foreign table mixed2 partition of mixed for values from (1000) to (2000) server pgjs_none;
insert into mixed select i, i from generate_series(1, 900) i;
analyze mixed1;
select * from sources('select * from mixed m join buyer b on b.id = m.id where m.id < 500');
select * from compare('select * from mixed m join buyer b on b.id = m.id where m.id < 500');
drop server pgjs_none cascade;
drop foreign data wrapper pgjs_none;
-- indexes of the partitions that leave little to read
create index on sales (id);
analyze sales;
set random_page_cost = 0.1;
select * from sources('select * from sales s join purchase p on p.id = s.buyer where s.id = 4711');
select * from compare('select * from sales s join purchase p on p.id = s.buyer where s.id = 4711');
reset random_page_cost;

-- ---- who may see what ----
create role pgjs_seller;
grant usage on schema pgjs_test, pgjs_partitions to pgjs_seller;
grant select on sales, buyer to pgjs_seller;
alter table sales enable row level security;
create policy cheap on sales using (total < 2000);
alter table sales_2020 enable row level security;
create policy nobody on sales_2020 using (false);
set role pgjs_seller;
select * from compare('select s.id, s.total, b.id from sales s join buyer b on b.id = s.buyer');
select * from sources('select s.id, s.total, b.id from sales s join buyer b on b.id = s.buyer');
select count(*) from sales_2019 s join buyer b on b.id = s.buyer;
reset role;
revoke select on sales from pgjs_seller;
grant select (id, buyer) on sales to pgjs_seller;
set role pgjs_seller;
select * from compare('select s.id, b.id from sales s join buyer b on b.id = s.buyer');
select s.total, b.id from sales s join buyer b on b.id = s.buyer;
reset role;
alter table sales disable row level security;
drop owned by pgjs_seller;
drop role pgjs_seller;

-- ---- tables change between executions ----
set plan_cache_mode = force_generic_plan;
prepare again as select count(*), sum(s.total), count(s.note) from sales s join buyer b on b.id = s.buyer;
execute again;
alter table sales detach partition sales_2030;
execute again;
alter table sales attach partition sales_2030 for values from ('2030-01-01') to ('2031-01-01');
execute again;
alter table sales_2019 set (parallel_workers = 3);
truncate sales_2021;
execute again;
alter table sales drop column rate;
execute again;
update sales set note = 'changed' where id % 2 = 0;
delete from sales where id % 3 = 0;
execute again;
begin;
insert into sales (id, buyer, placed, total, note) values (1, 1, '2019-02-02', 1, 'mine');
execute again;
rollback;
execute again;
declare c cursor with hold for select s.id from sales s join buyer b on b.id = s.buyer where s.id < 100;
select rows from rows_of('fetch all from c');
close c;
reset plan_cache_mode;
-- the answer of each: PostgreSQL's
select * from compare('select * from sales s join buyer b on b.id = s.buyer');
create table copied as select s.id, b.segment from sales s join buyer b on b.id = s.buyer;
select count(*) from copied;
insert into sales (id, buyer, placed) select s.id + 20000, s.buyer, s.placed from sales s join buyer b on b.id = s.buyer;
select count(*) from sales;
