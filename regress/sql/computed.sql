-- Keys, arguments and FILTERs of aggregates that have no native form: columns that PostgreSQL computes below the groups.
create table event (id int, buyer int, at timestamptz, doc jsonb, tag text, n numeric);
insert into event
    select i, i % 300, timestamptz '2020-01-15 00:00+00' + i * interval '5 hours', case when i % 13 > 0 then jsonb_build_object('kind', i % 4, 'size', i % 9) end,
           'Tag ' || i % 7, (i % 31 - 15) / 4.0
      from generate_series(1, 3000) i;
analyze event;
create function seventh(i int) returns numeric language plpgsql immutable parallel safe as $$ begin return i / 7.0; end $$;
create function grouped(list text, rest text default '', out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare(format('select %s from event e join buyer b on e.buyer = b.id %s', list, rest))
$$;
-- JoinScan's operators, without the figures
create function operators(query text) returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute 'explain (costs off) ' || query loop
        if line ~ '(JoinScan|Aggregate|Projection|Sort|Group Key|Computed|Sort Key)' and line !~ 'JoinScan Plan' then
            return next regexp_replace(line, '^ *(-> *)?', '');
        end if;
    end loop;
end $$;

-- keys
select * from grouped('date_trunc(''month'', e.at), count(*)', 'group by 1');
select * from grouped('e.doc ->> ''kind'', b.segment, sum(e.n)', 'group by 1, 2');
select * from grouped('lower(e.tag collate "C.utf8"), count(*)', 'group by 1');
select * from grouped('seventh(e.id % 20), min(e.id)', 'group by 1');
select * from grouped('extract(year from e.at), count(*)', 'group by 1');
select * from grouped('(e.doc ->> ''size'')::int % 2 = 0, count(e.doc)', 'group by 1');
select * from grouped('count(*)', 'group by to_char(e.at, ''YYYY-MM''), b.nation');
select * from compare($$ select date_trunc('week', at), count(*) from event group by 1 $$);
select * from compare($$ select coalesce(y.kind, 'none'), count(*) from buyer b left join (select buyer, doc ->> 'kind' as kind from event) y on b.id = y.buyer group by 1 $$);
-- the same key twice, and a key that an argument mentions
select * from grouped('date_trunc(''month'', e.at) as a, date_trunc(''month'', e.at) as b, max(date_trunc(''month'', e.at))', 'group by 1, 2');
-- arguments and FILTER
select * from grouped('sum(seventh(e.id)), avg(seventh(e.id)), count(distinct seventh(e.id % 10)), max(seventh(e.id))');
select * from grouped('b.segment, sum((e.doc ->> ''size'')::int), count(e.doc ->> ''kind''), min(lower(e.tag) collate "C")', 'group by 1');
select * from grouped('count(*) filter (where e.doc ->> ''kind'' = ''2''), sum(e.n) filter (where e.tag ~ ''[34]''), bool_or(e.doc ? ''kind'')');
select * from grouped('sum(extract(epoch from e.at) * e.n), sum(case when e.tag ~ ''3'' then e.n else 0 end)');
-- HAVING, DISTINCT and ORDER BY over such columns
select * from grouped('date_trunc(''month'', e.at), sum(seventh(e.id))', 'group by 1 having sum(seventh(e.id)) > 100 and date_trunc(''month'', e.at) < ''2021-01-01''');
select * from grouped('distinct e.doc ->> ''kind'', to_char(e.at, ''YYYY'')');
select * from grouped('distinct upper(max(e.tag collate "C") collate "C.utf8")', 'group by b.segment');
select * from grouped('distinct date_trunc(''year'', date_trunc(''month'', e.at)), count(*) > 30', 'group by date_trunc(''month'', e.at)');
select agrees_in_order($$ select date_trunc('month', e.at), count(*) from event e join buyer b on e.buyer = b.id group by 1 order by 1 desc limit 5 $$);
select agrees_in_order($$ select lower(e.tag), b.segment, count(*) from event e join buyer b on e.buyer = b.id group by 1, 2 order by 3 desc, lower(e.tag) collate "und-x-icu", 2 limit 4 offset 1 $$);
select operators($$ select date_trunc('month', e.at), sum(seventh(e.id)) from event e join buyer b on e.buyer = b.id group by 1 order by 1 limit 5 $$);
-- an argument is evaluated where its FILTER lets pass; a key for every row
select * from compare_outcome($$ select sum(1 / seventh(e.id % 10)) filter (where e.id % 10 <> 0) from event e join buyer b on e.buyer = b.id $$);
select * from compare_outcome($$ select sum(1 / seventh(e.id % 10)) filter (where e.id % 10 <> 1) from event e join buyer b on e.buyer = b.id $$);
select * from compare_outcome($$ select sum(1 / seventh(e.id % 10)) filter (where 1 / nullif(seventh(e.id % 10), 0) > 0) from event e join buyer b on e.buyer = b.id $$);
select * from compare_outcome($$ select (case when e.id > 0 then 'x' end)::int, count(*) from event e join buyer b on e.buyer = b.id group by 1 $$);
select * from compare_outcome($$ select (case when e.id > 0 then 'x' end)::int, count(*) from event e join buyer b on e.buyer = b.id where e.id < 0 group by 1 $$);
-- volatile ones stay where PostgreSQL has them, as do types that are not hashed natively
select * from grouped('random() > 2, count(*)', 'group by 1');
select * from grouped('e.doc -> ''kind'', count(*)', 'group by 1');
-- parameters
select prepared_agrees('(text, int)', $$ select e.doc ->> $1, sum(seventh(e.id + $2)), count(*) filter (where e.tag ~ $1) from event e join buyer b on e.buyer = b.id group by 1 $$,
    '''kind'', 1', '''size'', 2', 'null, null');
select prepared_agrees('(numeric)', $$ select seventh(e.id % 5) * $1, sum(seventh(e.id) * $1) from event e join buyer b on e.buyer = b.id group by 1 $$, '2.50', '''NaN''', 'null');
-- nothing of an aggregate is wanted, but that it is a row
select * from compare($$ select r.id from region r, (select max(id) from buyer) m $$);
-- DISTINCT with a FILTER that has no NULLs, and with one that has
select * from grouped('count(distinct e.tag) filter (where e.id > 5), count(distinct e.n) filter (where (e.doc ->> ''size'')::int > 2)', 'group by b.segment');
-- grouping sets, and windows over such groups
select * from grouped('e.doc ->> ''kind'', b.segment, grouping(e.doc ->> ''kind'', b.segment), count(*), sum(seventh(e.id))', 'group by rollup (1, 2)');
select * from grouped('date_trunc(''month'', e.at), count(*), rank() over (order by count(*) desc)', 'group by 1');
