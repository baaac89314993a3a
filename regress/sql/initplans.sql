-- InitPlans that PostgreSQL may never run. The leader alone waits with them, too, where a row may do without the value;
-- with workers they are run first, as below PostgreSQL's Gather.
set joinscan.enabled = on;
set max_parallel_workers_per_gather = 0;
-- what raises when it is run
create view broken as select 1 / (id - id) as id from nation limit 1;
create function odd_one(int) returns int language plpgsql immutable parallel safe as $$ begin return $1 % 2; end $$;
create function leader(query text, out off text, out leader text) language plpgsql as $$
begin
    perform set_config('joinscan.enabled', 'off', true);
    off := outcome(query);
    perform set_config('joinscan.enabled', 'on', true);
    leader := outcome(query);
    leader := case when leader = off then 'same' else 'DIFFERENT: ' || leader end
        || case when plan_has_joinscan(digest_of(query)) then ', by JoinScan' else ', without JoinScan' end;
end $$;

-- never needed
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where case when p.id < 10000 then true else p.id = (select id from broken) end $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id where p.id < 10000 or p.id = (select id from broken) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id where not (p.id > 10000 and b.id > (select id from broken)) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id where coalesce(p.id, (select id from broken)) > 5 $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = coalesce(b.id, (select id from broken)) $$);
select * from leader($$ select p.id, b.segment from purchase p left join buyer b on p.buyer = b.id and (b.id > 0 or b.id = (select id from broken)) $$);
select * from leader($$ select b.id, s.x from buyer b left join
    (select buyer, case when id > 0 then total else (select id from broken) end as x from purchase) s on s.buyer = b.id $$);
select * from leader($$ select p.id, case when p.id > 0 then 1 else (select id from broken) end from purchase p join buyer b on p.buyer = b.id $$);
-- needed, by every row or by one in the middle
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where case when p.id < 7000 then true else p.id = (select id from broken) end $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id where p.id = (select id from broken) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where case when p.id < 7000 then true else p.id = (select id * 7500 from region where id = 1) end $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where p.buyer > 7000 or b.segment = (select segment from buyer where id < 3) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < 100 or p.total > (select avg(total) from purchase) or b.segment = (select max(segment) from buyer) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id where p.id < 100 or exists (select from region where id > 3) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < 100 or b.id = any (array(select id from nation where id > 20)) $$);
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < 100 or (b.nation, b.id) = (select 3, max(id) from buyer where nation = 3) $$);
-- in one clause where every row needs it, in another where some do
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id, (select max(id) / 2 as half from buyer) h
    where b.id > (select 500 from region where id = 0) and (p.id < 50 or p.id > (select 500 from region where id = 0)) $$);
-- an InitPlan that is a JoinScan, and one within another
select * from leader($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < 100 or b.id = (select max(b.id) from buyer b join nation n on b.nation = n.id where n.id < 3 or n.id = (select max(id) from nation)) $$);

-- rescans: the value outlives the run that asked for it
set enable_material = off;
set enable_memoize = off;
select * from leader($$ select n.id, (select count(*) from purchase p join buyer b on p.buyer = b.id
    where b.nation = n.id and case when p.id > 10 then b.segment = (select max(segment) from buyer) else true end) from nation n $$);
select * from leader($$ select n.id, (select count(*) from purchase p join buyer b on p.buyer = b.id
    where b.nation = n.id and (p.id < 10 * n.id or b.segment = (select max(segment) from buyer where nation = n.id))) from nation n $$);
select * from leader($$ select n.id, x.c from nation n, lateral (select count(*) as c from purchase p join buyer b on p.buyer = b.id
    where b.nation < n.id and (p.id < 10 or b.segment <> (select min(segment) from buyer)) offset 0) x $$);
select * from leader($$ select r.id, x.n from region r left join (select count(*) as n, max(b.segment) as m from purchase p join buyer b on p.buyer = b.id
    where p.id < 10 or p.note = (select max(note) from purchase)) x on x.n > r.id $$);
reset enable_material;
reset enable_memoize;
-- an ERROR from it, caught again and again
do $$
declare
    caught int := 0;
begin
    for i in 1 .. 50 loop
        begin
            perform count(*) from purchase p join buyer b on p.buyer = b.id
              where p.id < i * 200 or odd_one(p.id::int) = (select id from broken);
        exception when division_by_zero then
            caught := caught + 1;
        end;
    end loop;
    raise notice '% caught', caught;
end $$;
-- prepared statements, with values in the InitPlan
select prepared_agrees('(int, int)', 'select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < $1 or b.segment = (select segment from buyer where id > $2 order by id limit 1)', '10, 1', '10, 2', '10000, null', 'null, 5', '0, 1000');
select prepared_agrees('(int)', 'select p.id from purchase p join buyer b on p.buyer = b.id
    where p.id < 8001 or b.id = (select 1 / (id - id + $1) from nation limit 1)', '0', '1', 'null');
-- cursors: in pieces, with other queries in between
begin;
declare c scroll cursor for
    select p.id, b.segment from purchase p join buyer b on p.buyer = b.id
     where p.id < 3 or b.segment = (select max(segment) from buyer) order by p.id;
declare d no scroll cursor for
    select b.id from buyer b join nation n on b.nation = n.id where b.id < 3 or b.segment = (select min(segment) from buyer);
fetch 3 from c;
move 100 in d;
savepoint s;
select 1 / 0;
rollback to s;
move 100 in d;
fetch 2 from c;
fetch backward 2 from c;
move all in d;
fetch last from c;
commit;
-- each run gives its memory back
create function memory_of_contexts() returns bigint language sql volatile as
    $$ select sum(total_bytes) from pg_backend_memory_contexts $$;
select max(bytes) - min(bytes) < 500000 as steady
  from (select i, (select count(*) from nation n join region r on r.id = n.region where n.id < 2 or n.name || i = (select max(name) || i from nation)),
               case when i in (100, 2000) then memory_of_contexts() end bytes
          from generate_series(1, 2000) i offset 0) q;
reset max_parallel_workers_per_gather;
-- with workers
select agrees($$ select p.id from purchase p join buyer b on p.buyer = b.id
    where case when p.id < 7000 then true else p.id = (select id * 7500 from region where id = 1) end $$);
drop view broken;
