-- The settings: what there is, what they take, what they do.
load 'pg_joinscan';
select name, vartype, context, unit, boot_val = reset_val as is_default, short_desc <> '' as described
  from pg_settings where name like 'joinscan.%' and name <> 'joinscan.min_cost' order by name;
select name, vartype, context, boot_val::float8 > 0 as leaves_small_queries from pg_settings where name = 'joinscan.min_cost';
-- the prefix is taken
set joinscan.nonsense = 1;
-- what they do not take
\set VERBOSITY sqlstate
set joinscan.enabled = perhaps;
set joinscan.min_cost = -1;
set joinscan.queue_size = 0;
set joinscan.trace = 7;
\set VERBOSITY default
-- on and off
set joinscan.enabled = off;
select plan_has_joinscan('select p.id from purchase p join line l on p.id = l.purchase');
set joinscan.enabled = on;
select plan_has_joinscan('select p.id from purchase p join line l on p.id = l.purchase');
-- a cheap query is left alone, whatever JoinScan would cost
set joinscan.min_cost = 1e9;
select plan_has_joinscan('select p.id from purchase p join line l on p.id = l.purchase');
reset joinscan.min_cost;
-- small queues and large ones carry the same rows
set joinscan.queue_size = '16kB';
select * from compare($$ select p.*, l.* from purchase p join line l on p.id = l.purchase join buyer b on p.buyer = b.id $$);
set joinscan.queue_size = '1MB';
select * from compare($$ select p.*, l.* from purchase p join line l on p.id = l.purchase join buyer b on p.buyer = b.id $$);
-- one row of more bytes than a small queue holds
set joinscan.queue_size = '16kB';
create table wide as select i as id, (select string_agg(md5(i || '/' || j), '') from generate_series(1, 4000) j) as t from generate_series(1, 30) i;
create table wide_peer as select i as id from generate_series(1, 30) i;
analyze wide, wide_peer;
select * from compare($$ select w.id, w.t from wide w join wide_peer p on w.id = p.id $$);
reset joinscan.queue_size;
