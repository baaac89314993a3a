-- The plan as people and programs see it.
set joinscan.enabled = on;
-- with workers: the streams, their kinds and keys
explain (costs off)
    select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total > 100;
explain (costs off, verbose)
    select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total > 100;
explain (costs off)
    select l.purchase, p.placed, l.price
      from buyer b join purchase p on b.id = p.buyer join line l on l.purchase = p.id
     where b.segment = 'BUILDING' and l.price > p.total;
-- the leader alone: none
set max_parallel_workers_per_gather = 0;
explain (costs off)
    select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total > 100;
reset max_parallel_workers_per_gather;
-- off
set joinscan.enabled = off;
explain (costs off) select n.id from nation n join region r on n.region = r.id;
set joinscan.enabled = on;

-- ANALYZE: numbers of each participant differ from run to run, so only what must hold
create function explain_json(query text) returns jsonb language plpgsql as $$
declare
    plan jsonb;
begin
    execute 'explain (analyze, verbose, costs off, format json) ' || query into plan;
    return plan;
end $$;
-- every object of the plan, at any depth
create function objects(plan jsonb) returns setof jsonb language sql as $$
    select jsonb_path_query(plan, 'strict $.**') $$;
select jsonb_typeof(plan) as document, count(*) as join_scans, max((o ->> 'Actual Rows')::bigint) as rows
  from explain_json('select p.id, l.pos from purchase p join line l on p.id = l.purchase') plan, objects(plan) o
 where jsonb_typeof(o) = 'object' and o ->> 'Custom Plan Provider' = 'JoinScan'
 group by 1;
-- rows that a scan drops since they would find no partner
set enable_indexscan = off;
select sum((o ->> 'Rows Removed by Runtime Filter')::bigint) > 20000 as many_dropped
  from explain_json('select p.id, l.pos from purchase p join line l on p.id = l.purchase where p.total < 30') plan,
       objects(plan) o
 where jsonb_typeof(o) = 'object';
reset enable_indexscan;
-- every format is well formed
do $$
declare
    j json;
    x xml;
    t text;
begin
    execute 'explain (analyze, verbose, format json) select p.id from purchase p join line l on p.id = l.purchase' into j;
    execute 'explain (analyze, verbose, format xml) select p.id from purchase p join line l on p.id = l.purchase' into x;
    execute 'explain (analyze, verbose, format yaml) select p.id from purchase p join line l on p.id = l.purchase' into t;
    raise notice 'json %, xml %, yaml %', j is not null, x is document, t like '%JoinScan%';
end $$;
-- EXPLAIN ANALYZE runs nothing twice, and leaves no worker
select count(*) from pg_stat_activity where backend_type = 'parallel worker';
