-- Who may see what: privileges, views and their owners, SECURITY DEFINER, row-level security and security barriers. As
-- without JoinScan, whether it takes the query or not; above all nothing that a policy hides comes before a function.
set joinscan.enabled = on;
set client_min_messages = warning;
drop role if exists regress_pgjs_reader, regress_pgjs_clerk, regress_pgjs_chief, regress_pgjs_exempt;
reset client_min_messages;
create role regress_pgjs_reader;
create role regress_pgjs_clerk;
create role regress_pgjs_chief;
create role regress_pgjs_exempt bypassrls;
grant usage on schema pgjs_test to public;

-- ---- tables and columns ----
grant select on nation, buyer to regress_pgjs_reader;
grant select (id, buyer, total) on purchase to regress_pgjs_reader;
set role regress_pgjs_reader;
select plan_has_joinscan('select p.id, b.id from purchase p join buyer b on p.buyer = b.id') as taken;
select agrees('select p.id, p.total, b.segment from purchase p join buyer b on p.buyer = b.id');
select agrees('select count(*) from purchase p join buyer b on p.buyer = b.id');
select agrees('select p.id, p.placed from purchase p join buyer b on p.buyer = b.id');
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id where p.note = ''note 1''');
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id and p.placed > b.since');
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id order by p.placed');
select agrees('select p from purchase p join buyer b on p.buyer = b.id');
select agrees('select p.* from purchase p join buyer b on p.buyer = b.id');
select agrees('select p.ctid from purchase p join buyer b on p.buyer = b.id');
select agrees('select l.purchase from line l join purchase p on p.id = l.purchase');
select agrees('select b.id from buyer b where exists (select from line l join purchase p on p.id = l.purchase where p.buyer = b.id)');
select agrees('select b.id from buyer b join nation n on b.nation = n.id where b.id > (select max(product) from line)');
-- a table that no column is needed of
select agrees('select b.id from buyer b join nation n on b.nation = n.id, product d');
reset role;
-- taken away after the plan was made
set plan_cache_mode = force_generic_plan;
set role regress_pgjs_reader;
prepare kept as select count(*), sum(p.total) from purchase p join buyer b on p.buyer = b.id;
execute kept;
reset role;
revoke select (total) on purchase from regress_pgjs_reader;
set role regress_pgjs_reader;
execute kept;
reset role;
execute kept;
grant select (total) on purchase to regress_pgjs_reader;
set role regress_pgjs_reader;
execute kept;
deallocate kept;
reset role;
reset plan_cache_mode;
-- functions
create function secret_factor(int) returns int language sql immutable as $$ select $1 * 2 $$;
create function opaque_factor(int) returns int language plpgsql immutable parallel safe as $$ begin return $1 * 2; end $$;
revoke execute on function opaque_factor(int), secret_factor(int) from public;
set role regress_pgjs_reader;
select agrees('select p.id, opaque_factor(b.id) from purchase p join buyer b on p.buyer = b.id');
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id where opaque_factor(b.id) > 10');
select agrees('select p.id from purchase p join buyer b on p.buyer = secret_factor(b.id)');
reset role;

-- ---- views: their owner's rights ----
create view all_lines as select l.purchase, l.pos, l.price, p.placed from line l join purchase p on p.id = l.purchase;
create view invoker_lines with (security_invoker) as select l.purchase, l.pos, l.price from line l join purchase p on p.id = l.purchase;
create view chief_lines as select l.purchase, l.price from line l join purchase p on p.id = l.purchase;
alter view chief_lines owner to regress_pgjs_chief;
create view over_view as select a.purchase, b.id from all_lines a join purchase p on a.purchase = p.id join buyer b on p.buyer = b.id;
grant select on all_lines, invoker_lines, chief_lines, over_view to regress_pgjs_reader;
set role regress_pgjs_reader;
select agrees('select * from all_lines');
select agrees('select a.purchase, p.total from all_lines a join purchase p on a.purchase = p.id where a.price > 5000');
select agrees('select a.purchase, p.placed from all_lines a join purchase p on a.purchase = p.id');
select agrees('select * from invoker_lines');
select agrees('select * from chief_lines');
select agrees('select o.purchase, n.name from over_view o join buyer b on o.id = b.id join nation n on b.nation = n.id');
reset role;
grant select on line, purchase to regress_pgjs_chief;
set role regress_pgjs_reader;
select agrees('select * from chief_lines');
reset role;

-- ---- SECURITY DEFINER ----
create function as_owner(floor_price numeric) returns setof bigint language sql stable security definer as $$
    select l.purchase from line l join purchase p on p.id = l.purchase where l.price > floor_price $$;
create function as_caller(floor_price numeric) returns setof bigint language sql stable as $$
    select l.purchase from line l join purchase p on p.id = l.purchase where l.price > floor_price $$;
create function as_owner_plpgsql(floor_price numeric) returns bigint language plpgsql security definer as $$
begin
    return (select count(*) from line l join purchase p on p.id = l.purchase
             where l.price > floor_price and current_user <> 'regress_pgjs_reader');
end $$;
set role regress_pgjs_reader;
select agrees('select * from as_owner(9000)');
select agrees('select f, b.id from as_owner(9000) f join buyer b on b.id = f');
select agrees('select * from as_caller(9000)');
select agrees('select as_owner_plpgsql(9000)'), as_owner_plpgsql(9000) > 0 as some;
-- who one is, in a worker too
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id where current_user = ''regress_pgjs_reader''');
select agrees('select p.id, current_user, session_user = current_user from purchase p join buyer b on p.buyer = b.id where p.id < 10');
select agrees('select p.id from purchase p join buyer b on p.buyer = b.id where has_table_privilege(''purchase'', ''select'')');
reset role;

-- ---- row-level security ----
create table staff (id int primary key, name name not null);
insert into staff values (1, 'regress_pgjs_reader'), (2, 'regress_pgjs_clerk'), (3, 'regress_pgjs_chief');
create table record (id int primary key, staff int not null, level int not null, content text not null);
insert into record select i, i % 3 + 1, i % 5, case when i % 3 = 0 then 'shown ' else 'hidden ' end || i from generate_series(1, 1500) i;
create table entry (record int not null, pos int not null, divisor int not null, body text not null);
insert into entry select i / 2 + 1, i % 2, case when (i / 2 + 1) % 3 = 0 then 1 else 0 end,
    case when (i / 2 + 1) % 3 = 0 then '12' else 'hidden' end from generate_series(0, 2999) i;
analyze staff, record, entry;
grant select on staff, record, entry to public;
create policy own on record using (staff = (select id from staff where name = current_user));
create policy chief on record to regress_pgjs_chief using (level < 4);
create policy through_record on entry using (exists (select from record r where r.id = entry.record));
alter table record enable row level security;
alter table entry enable row level security;
-- A function that tells what it sees of what it must not see. Cheap, so that the planner would like it first.
create function tells(text) returns boolean language plpgsql cost 0.0001 parallel safe immutable as $$
begin
    if $1 like 'hidden%' then
        raise notice 'leaked: %', $1;
    end if;
    return true;
end $$;
create function fails(text) returns boolean language plpgsql cost 0.0001 parallel safe stable as $$
begin
    if $1 like 'hidden%' then
        raise exception 'leaked: %', $1;
    end if;
    return true;
end $$;
create operator <^> (leftarg = text, rightarg = text, function = texteq);
set role regress_pgjs_reader;
\set mine 'select r.id, e.pos, e.body from record r join entry e on e.record = r.id'
select agrees(:'mine');
select agrees(:'mine' || ' where tells(r.content)');
select agrees(:'mine' || ' where tells(e.body) and r.level > 1');
select agrees(:'mine' || ' and fails(r.content || e.body)');
select agrees(:'mine' || ' where fails(r.content) and fails(e.body)');
-- operators of PostgreSQL's own that can raise: on the hidden rows they would
select agrees(:'mine' || ' where 10 / e.divisor > 0');
select agrees(:'mine' || ' where e.body::int = 12');
select agrees(:'mine' || ' where 10 / (r.id % 3 - 1) < 100');
select agrees('select r.id, 10 / e.divisor, e.body::int from record r join entry e on e.record = r.id');
select agrees('select sum(10 / e.divisor), r.level from record r join entry e on e.record = r.id group by r.level');
select agrees('select r.id from record r join entry e on e.record = r.id and 10 / e.divisor > r.id % 3');
select agrees('select r.id from record r left join entry e on e.record = r.id and 10 / e.divisor > 0');
select agrees('select r.id from record r where exists (select from entry e where e.record = r.id and fails(e.body))');
select agrees('select s.name, count(*) from staff s join record r on r.staff = s.id where fails(r.content) group by 1');
select agrees('select a.id, b.id from record a join record b on a.level = b.level and fails(a.content) and fails(b.content)');
select agrees('select r.id from record r join entry e on e.record = r.id where r.content <^> e.body');
reset role;
select agrees(:'mine');
set role regress_pgjs_clerk;
select agrees(:'mine');
set role regress_pgjs_chief;
select agrees(:'mine');
set role regress_pgjs_exempt;
select agrees(:'mine');
-- as if there were no policies, or an error
set role regress_pgjs_reader;
set row_security = off;
select agrees(:'mine');
set role regress_pgjs_exempt;
select agrees(:'mine');
reset row_security;
reset role;
-- one plan, several roles: made anew for each
set plan_cache_mode = force_generic_plan;
prepare of_role (int) as select count(*), min(r.id), max(e.pos) from record r join entry e on e.record = r.id where r.level <> $1;
set role regress_pgjs_reader;
execute of_role (1);
set role regress_pgjs_clerk;
execute of_role (1);
set role regress_pgjs_chief;
execute of_role (1);
reset role;
execute of_role (1);
set role regress_pgjs_reader;
execute of_role (1);
reset role;
-- and a new policy, or one that goes, between executions
create policy less on record as restrictive to regress_pgjs_reader using (level = 2);
set role regress_pgjs_reader;
execute of_role (1);
select agrees(:'mine');
reset role;
drop policy less on record;
alter table entry disable row level security;
set role regress_pgjs_reader;
execute of_role (1);
select agrees(:'mine');
reset role;
deallocate of_role;
reset plan_cache_mode;
-- the owner too
alter table record force row level security;
alter table record owner to regress_pgjs_clerk;
set role regress_pgjs_clerk;
select agrees(:'mine');
reset role;
alter table record no force row level security;
set role regress_pgjs_clerk;
select agrees(:'mine');
reset role;
-- roles that change inside: a cursor has the policies of the role that opened it, but current_user is who fetches
begin;
set local role regress_pgjs_reader;
declare readers cursor for select count(*), min(r.id) from record r join entry e on e.record = r.id;
set local role regress_pgjs_chief;
fetch all from readers;
select count(*), min(r.id) from record r join entry e on e.record = r.id;
commit;
create function as_clerk() returns bigint language plpgsql set role = regress_pgjs_clerk as $$
begin
    return (select count(*) from record r join entry e on e.record = r.id);
end $$;
create function as_reader() returns bigint language plpgsql security definer as $$
begin
    return (select count(*) from record r join entry e on e.record = r.id);
end $$;
alter function as_reader() owner to regress_pgjs_reader;
select agrees('select as_clerk(), as_reader()'), as_clerk(), as_reader();
select agrees('select s.id, as_reader() from staff s join record r on r.staff = s.id where r.id < 5');
-- a view reads as its owner, whom the policies bind
create view chiefs_view as select r.id, r.level, e.body from record r join entry e on e.record = r.id;
alter view chiefs_view owner to regress_pgjs_chief;
grant select on chiefs_view to public;
set role regress_pgjs_exempt;
select agrees('select * from chiefs_view');
select agrees('select v.id, s.name from chiefs_view v join staff s on s.id = v.id % 3 + 1 where 10 / (v.level - 4) < 0');
reset role;

-- ---- security barriers ----
create view barrier_view with (security_barrier) as
    select r.id, r.content, e.body, e.divisor from record r join entry e on e.record = r.id where r.content like 'shown%';
create view barrier_entry with (security_barrier) as select * from entry where body <> 'hidden';
grant select on barrier_view, barrier_entry to public;
set role regress_pgjs_exempt;
select agrees('select * from barrier_view');
select agrees('select * from barrier_view where fails(content)');
select agrees('select * from barrier_view where 10 / divisor = 10 and body::int = 12');
select agrees('select v.id, s.name from barrier_view v join staff s on s.id = v.divisor where fails(v.content || s.name) and 10 / v.divisor > 1');
select agrees('select r.id, e.pos from record r join barrier_entry e on e.record = r.id where fails(e.body) and 10 / e.divisor > 0');
select agrees('select r.id, e.pos from barrier_entry e join record r on e.record = r.id and fails(e.body) and r.id > e.body::int');
select agrees('select count(*), sum(10 / v.divisor) from barrier_view v join barrier_entry e on v.id = e.record where tells(v.content) group by v.id % 10');
-- what is leakproof may go below the barrier
select agrees('select * from barrier_view where id = 300');
select agrees('select v.id from barrier_view v join staff s on s.id = v.divisor where v.id between 100 and 200 and s.id = 1');
reset role;

set client_min_messages = warning;
drop owned by regress_pgjs_reader, regress_pgjs_clerk, regress_pgjs_chief, regress_pgjs_exempt cascade;
drop role regress_pgjs_reader, regress_pgjs_clerk, regress_pgjs_chief, regress_pgjs_exempt;
select workers_left();
