-- joinscan.verify: a query without JoinScan and with it, and what differs.
select * from joinscan.verify('select p.id, b.segment from purchase p join buyer b on p.buyer = b.id');
-- by the leader alone
set max_parallel_workers_per_gather = 0;
select * from joinscan.verify('select p.id, b.segment from purchase p join buyer b on p.buyer = b.id');
reset max_parallel_workers_per_gather;
-- more than work_mem holds
set work_mem = '64kB';
select what, "off" from joinscan.verify('select l.* from line l join region r on l.quantity = r.id or true') limit 1;
reset work_mem;
-- why not; without force, the caller's joinscan.min_cost counts
set joinscan.min_cost = 1e9;
select what, "off", regexp_replace("on", '\d+,', 'N,') "on"
  from joinscan.verify('select p.id from purchase p join buyer b on p.buyer = b.id', false);
reset joinscan.min_cost;
select * from joinscan.verify('values (1), (2)');
-- what differs: rows of one and of the other, NULL and the empty string, quoting
create view engine as select current_setting('joinscan.enabled') as joinscan;
select * from joinscan.verify($$
    select n.id, case joinscan when 'on' then '' end, case joinscan when 'on' then 'a,b' else 'a"b\' end
      from nation n join region r on n.region = r.id, engine where n.id < 7 $$);
select * from joinscan.verify($$ select n.id from nation n, engine where n.id < 2 or joinscan = 'on' $$);
-- copies count
select * from joinscan.verify($$
    select 'x' from nation n, engine where n.id < case joinscan when 'on' then 3 else 2 end $$);
-- an error is an outcome: the same on both sides, and on one alone
select * from joinscan.verify('select 1 / (b.id - 5) from purchase p join buyer b on p.buyer = b.id');
select * from joinscan.verify($$ select 1 / case joinscan when 'on' then 0 else 1 end from engine $$);
select * from joinscan.verify($$ select 1 / case joinscan when 'off' then 0 else 1 end from engine $$);
-- the rest of the transaction goes on, and what the query set is undone
begin;
select * from joinscan.verify($$ select set_config('work_mem', '1MB', false) from nation where 1 / (id - id) = 1 $$);
select what from joinscan.verify($$ select set_config('work_mem', '1MB', false) $$);
select current_setting('work_mem') = '1MB', current_setting('transaction_read_only'), current_setting('joinscan.enabled');
insert into region values (9, 'nine');
select what, "off" from joinscan.verify('select r.id from region r left join nation n on r.id = n.region where n.id is null') limit 1;
rollback;
-- what is refused
select * from joinscan.verify('select id from region for share');
select * from joinscan.verify('insert into region values (5, ''five'')');
select * from joinscan.verify('with d as (delete from region returning *) select * from d');
select * from joinscan.verify('select * into elsewhere from region');
select * from joinscan.verify('select 1; select 2');
select * from joinscan.verify('');
select * from joinscan.verify('select nothing from region');
create sequence counter;
select * from joinscan.verify('select nextval(''counter'')');
set statement_timeout = 100;
select * from joinscan.verify('select pg_sleep(10)');
reset statement_timeout;
-- the caller's rights
create role pgjs_reader;
grant usage on schema pgjs_test to pgjs_reader;
grant select on region to pgjs_reader;
set role pgjs_reader;
select * from joinscan.verify('select r.id from region r join region s on r.id = s.id');
select * from joinscan.verify('select id from nation');
reset role;
drop owned by pgjs_reader;
drop view engine;
drop sequence counter;
drop role pgjs_reader;
