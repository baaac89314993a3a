-- Where JoinScan stays out, it says why, and PostgreSQL answers as before.
create function declined(query text) returns boolean language sql as $$ select not plan_has_joinscan(query) $$;
set joinscan.explain_decline = on;
-- row marks
select declined('select p.id from purchase p join buyer b on p.buyer = b.id for update of p');
-- nor a target whose rows are changed
select declined('update buyer set balance = 0 from purchase p where p.buyer = buyer.id');
select declined('delete from buyer using purchase p where p.buyer = buyer.id');
-- how a value is stored
select declined('select pg_column_size(b.segment), p.id from buyer b join purchase p on p.buyer = b.id');
-- what depends on another relation's row
select declined('select b.id, x.id from buyer b, lateral (select p.id from purchase p where p.buyer = b.id limit 1) x');
-- a condition without columns
select declined('select b.id from buyer b join purchase p on p.buyer = b.id where current_user = ''nobody''');
-- no memory for the smaller side
set work_mem = '64kB';
set hash_mem_multiplier = 1;
select declined('select l.* from line l join line m on l.purchase = m.purchase');
reset work_mem;
reset hash_mem_multiplier;
-- too cheap
set cpu_tuple_cost = 0.01;
set joinscan.min_cost = 1000000;
select declined('select p.id from purchase p join buyer b on p.buyer = b.id');
reset cpu_tuple_cost;
reset joinscan.min_cost;
-- switched off: no word
set joinscan.enabled = off;
select declined('select p.id from purchase p join buyer b on p.buyer = b.id');
reset joinscan.enabled;
reset joinscan.explain_decline;
-- and the answers
-- a temporary table: the leader alone
create temp table scratch as select id from buyer where id % 3 = 0;
analyze scratch;
select * from compare($$ select p.id from purchase p join scratch s on p.buyer = s.id $$);
