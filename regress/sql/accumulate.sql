-- Aggregates without a native form: PostgreSQL's own aggregation within the plan, with its values and errors.
create table piece (id int primary key, g int, b bool, i2 smallint, i4 int, i8 bigint, f8 double precision, n numeric, n2 numeric(8, 2), t text,
    c char(4), d date, iv interval, a int[], j jsonb, r int4range, u uuid);
insert into piece
    select i, i % 13, i % 3 = 0, i % 50 - 20, i * 7 % 101 - 50, i * 1000000007::bigint, (i % 19 - 9) / 8.0, (i % 23 - 11) / 10.0,
           (i % 31 - 15) / 4.0, 'text ' || i % 11, 'c' || i % 5, date '2000-01-01' + i % 41, i % 9 * interval '1 day 1 hour',
           array[i % 4, null, i % 3], jsonb_build_object('k', i % 5), int4range(i % 7, i % 7 + 3),
           ('00000000-0000-0000-0000-00000000000' || i % 6)::uuid
      from generate_series(1, 900) i;
insert into piece (id, g, n, f8) values (1001, 100, 'NaN', 'NaN'), (1002, 100, 1.0, '-0'), (1003, 100, 1.00, '0'), (1004, 101, null, null), (1005, 101, null, null);
create table box (g int primary key, h int not null, name text not null);
insert into box select i, i % 3, 'box ' || i from generate_series(0, 12) i;
insert into box values (100, 100, 'box of odd ones'), (101, 101, 'box of nothing'), (102, 102, 'empty');
analyze piece, box;
create function in_boxes(list text, rest text default '', out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare(format('select %s from piece x join box s on x.g = s.g %s', list, rest))
$$;
create function in_boxes_failing(list text, rest text default '', out off text, out leader text, out workers text) language sql as $$
    select * from compare_outcome(format('select %s from piece x join box s on x.g = s.g %s', list, rest))
$$;
-- Who computes the aggregates: JoinScan's operators for that, or why it is the node above.
create function who(list text, rest text default '') returns setof text language plpgsql as $$
declare
    line text;
begin
    for line in execute format('explain (verbose, costs off) select %s from piece x join box s on x.g = s.g %s', list, rest) loop
        line := trim(line, ' ->');
        if line ~ '^(Left to|Aggregate|Partial Agg|Finalize Agg|PostgreSQL Agg|PostgreSQL Acc|GroupAgg|HashAgg|Aggregates)' then
            return next line;
        end if;
    end loop;
end $$;

-- what a plan looks like
set max_parallel_workers_per_gather = 2;
explain (verbose, costs off) select s.h, count(*), string_agg(x.t, ',' order by x.id), stddev(x.n) from piece x join box s on x.g = s.g group by s.h having mode() within group (order by x.i4) is not null;
explain (verbose, costs off) select count(*), string_agg(x.t, ',') from piece x join box s on x.g = s.g;

-- strings
select * from in_boxes('s.h, string_agg(x.t, '','' order by x.id)', 'group by s.h');
select * from in_boxes('string_agg(x.t, '','' order by x.id), count(*), max(x.id)');
select * from in_boxes('s.h, length(string_agg(x.t, '',''))', 'group by s.h');
select * from in_boxes('s.name, string_agg(x.t || s.name, x.c order by x.t desc nulls first, x.id), sum(x.n2)', 'group by s.name');
select * from in_boxes('s.h, string_agg(convert_to(x.t, ''utf8''), ''\x00'' order by x.id)', 'group by s.h');
select * from in_boxes('s.h, string_agg(distinct x.t, '','')', 'group by s.h');
-- least and greatest of all rows: of each batch one goes on
select * from in_boxes('max(x.t collate "und-x-icu"), min(x.t collate "und-x-icu"), count(*), max((x.c || x.id)::varchar collate "und-x-icu")');
select * from in_boxes('max(x.t collate "und-x-icu"), min(x.id::text collate "und-x-icu")', 'where x.t is null');
select * from in_boxes('max(x.t collate "und-x-icu"), min(x.t)', 'where x.id < 0');
select * from in_boxes('max(x.t collate "und-x-icu"), min(x.t collate "und-x-icu") filter (where x.id > 20), string_agg(x.t, '','' order by x.id)');
select * from compare($$ select max(p.note collate "und-x-icu"), min(p.note collate "und-x-icu"), max(l.pos::text collate "und-x-icu"), min(p.id::text collate "und-x-icu") from purchase p join line l on p.id = l.purchase $$);
-- arrays, of NULLs and of arrays too
select * from in_boxes('s.h, array_agg(x.i4 order by x.id), array_agg(x.n order by x.id), array_agg(x.t order by x.id)', 'group by s.h');
select * from in_boxes('x.g, array_agg(x.a order by x.id)', 'where x.g < 100 group by x.g');
select * from in_boxes('array_agg(distinct x.i2 order by x.i2 desc nulls last), array_agg(distinct x.c)');
select * from in_boxes('x.g, array_agg(row(x.id, s.name) order by x.id)', 'group by x.g');
select * from in_boxes('s.h, array_agg(x order by x.id)', 'group by s.h');
select * from in_boxes('s.h, cardinality(array_agg(x.id))', 'group by s.h');
-- JSON
select * from in_boxes('s.h, json_agg(x.j order by x.id), jsonb_agg(x.t order by x.id)', 'group by s.h');
select * from in_boxes('s.h, jsonb_object_agg(x.id, x.n), json_object_agg(x.id, x.t order by x.id)', 'group by s.h');
select * from in_boxes_failing('jsonb_object_agg(x.t, x.n)', 'where x.t is null');
-- ordered sets and hypothetical rows
select * from in_boxes('s.h, percentile_cont(0.3) within group (order by x.f8), percentile_disc(0.3) within group (order by x.n)', 'group by s.h');
select * from in_boxes('percentile_cont(array[0, 0.25, null, 1]) within group (order by x.iv), percentile_disc(0.5) within group (order by x.t)');
select * from in_boxes('s.h, mode() within group (order by x.t), mode() within group (order by x.d desc)', 'group by s.h');
select * from in_boxes('s.h, percentile_cont(s.h / 200.0) within group (order by x.f8)', 'group by s.h');
select * from in_boxes('s.h, rank(3) within group (order by x.i4), dense_rank(0.5) within group (order by x.n desc), percent_rank(2, ''text 3'') within group (order by x.i2, x.t), cume_dist(1) within group (order by x.i4)', 'group by s.h');
-- statistics
select * from in_boxes('s.h, var_pop(x.n), var_samp(x.n2), stddev(x.i2), stddev_pop(x.i4), variance(x.i8)', 'group by s.h');
select * from in_boxes('var_pop(x.i4), stddev(x.n), avg(x.iv), sum(x.iv), max(x.a), min(x.u::text)');
select * from in_boxes('s.h, range_agg(x.r), range_intersect_agg(x.r)', 'group by s.h');
-- nothing, and NULLs alone
select * from in_boxes('string_agg(x.t, '',''), array_agg(x.id), mode() within group (order by x.i4), count(*)', 'where x.id < 0');
select * from in_boxes('s.h, array_agg(x.id)', 'where x.id < 0 group by s.h');
select * from in_boxes('s.h, string_agg(x.t, '',''), array_agg(x.t), var_samp(x.n), percentile_disc(0.5) within group (order by x.f8)', 'where s.h > 99 group by s.h');

-- FILTER, DISTINCT, HAVING, and native ones beside
select * from in_boxes('s.h, string_agg(x.t, '','' order by x.id) filter (where x.id % 50 = 0), count(*) filter (where x.b), count(distinct x.i4)', 'group by s.h');
select * from in_boxes('s.h, count(distinct x.t), sum(distinct x.i4), array_agg(distinct x.t)', 'group by s.h');
select * from in_boxes('s.h, sum(x.n)', 'group by s.h having string_agg(x.t, '','' order by x.id) like ''text 3%'' or stddev(x.n) > 0.5');
select * from in_boxes('count(distinct x.i4), string_agg(x.t, '','' order by x.id)', 'where x.b having count(*) > 3');
select * from in_boxes('x.g, s.name, x.t, x.n, array_agg(x.id order by x.id)', 'group by x.g, s.name, x.t, x.n');
select * from in_boxes('s.*, string_agg(x.t, '','' order by x.id)', 'group by s.g');
select * from in_boxes('lower(x.t), array_agg(x.id order by x.id), sum(x.i4 * 2)', 'group by lower(x.t)');
select * from in_boxes('x.c, array_agg(x.id order by x.id)', 'group by x.c');
select * from in_boxes('x.f8 + 0, array_agg(x.id order by x.id)', 'group by x.f8');
select * from in_boxes('trim_scale(x.n), array_agg(x.id order by x.id)', 'group by x.n');
-- what stands on them
select * from in_boxes('distinct array_agg(x.id order by x.id)', 'group by x.b');
select * from in_boxes('s.h, stddev(x.i4), rank() over (order by sum(x.i4))', 'group by s.h');
select agrees_in_order('select s.g, string_agg(x.t, '','' order by x.id) from piece x join box s on x.g = s.g group by s.g order by var_pop(x.i4) desc nulls last, s.g limit 4');
select * from compare('select * from (select x.g, array_agg(x.id order by x.id) as ids from piece x join box s on x.g = s.g group by x.g) q join box s on s.g = q.g');
-- one table
select agrees('select g, string_agg(t, '','' order by id), stddev(n) from piece group by g');

-- functions of users
create function longer(text, text) returns text language sql immutable strict parallel safe as 'select case when length($2) > length($1) or (length($2) = length($1) and $2 > $1) then $2 else $1 end';
create aggregate longest(text) (sfunc = longer, stype = text, parallel = safe);
create function add_twice(numeric, int) returns numeric language plpgsql immutable parallel safe as 'begin return $1 + 2 * coalesce($2, 0); end';
create function as_words(numeric) returns text language sql immutable parallel safe as 'select ''sum '' || $1';
create aggregate words(int) (sfunc = add_twice, stype = numeric, initcond = '0', finalfunc = as_words, parallel = safe);
create aggregate collected(anycompatible) (sfunc = array_append, stype = anycompatiblearray, initcond = '{}', parallel = safe);
create function last_of(anycompatiblearray, anycompatible) returns anycompatible language sql immutable parallel safe as 'select $1[array_upper($1, 1)]';
create aggregate last_one(anycompatible) (sfunc = array_append, stype = anycompatiblearray, finalfunc = last_of, finalfunc_extra, initcond = '{}', parallel = safe);
create aggregate gathered(anynonarray) (sfunc = array_agg_transfn, stype = internal, finalfunc = array_agg_finalfn, finalfunc_extra, parallel = safe);
create aggregate middle(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
create function refuse(int, int) returns int language plpgsql immutable parallel safe as 'begin if $2 = 13 then raise exception ''no 13'' using errcode = ''22023''; end if; return $1 + $2; end';
create aggregate careful(int) (sfunc = refuse, stype = int, initcond = '0', parallel = safe);
create function noted(int, int) returns int language plpgsql volatile parallel safe as 'begin return $1 + $2; end';
create aggregate counted(int) (sfunc = noted, stype = int, initcond = '0', parallel = safe);
create aggregate for_the_leader(int) (sfunc = int4pl, stype = int, initcond = '0', parallel = restricted);
create function looked_up(int, int) returns int language sql stable parallel safe as 'select $1 + count(*)::int from piece p join box s on p.g = s.g where p.id = $2';
create aggregate known(int) (sfunc = looked_up, stype = int, initcond = '0', parallel = safe);
select * from in_boxes('s.h, longest(x.t), words(x.i4)', 'group by s.h');
select * from in_boxes('longest(x.t), words(x.i4), count(*)');
select * from in_boxes('s.h, collected(x.t order by x.id), collected(x.n order by x.id), last_one(x.d order by x.id)', 'group by s.h');
select * from in_boxes('s.h, gathered(x.n order by x.id), gathered(x.t order by x.id)', 'group by s.h');
select * from in_boxes('s.h, middle(0.4) within group (order by x.t), middle(0.6) within group (order by x.n)', 'group by s.h');
select * from in_boxes('s.h, for_the_leader(x.i4)', 'group by s.h');
select * from in_boxes('s.h, known(x.id)', 'where x.id < 60 group by s.h');
select * from in_boxes_failing('s.h, careful(x.i4)', 'group by s.h');
select * from in_boxes_failing('careful(x.i4)');
select * from in_boxes_failing('s.h, careful(x.i4)', 'where x.i4 <> 13 group by s.h');
select * from in_boxes_failing('percentile_cont(1.5) within group (order by x.f8)');
select * from in_boxes_failing('s.h, string_agg((100 / x.i4)::text, '','' order by x.id)', 'group by s.h');
select * from in_boxes_failing('s.h, string_agg((100 / x.i4)::text, '','' order by x.id) filter (where x.i4 <> 0)', 'group by s.h');

-- who computes what
select who('s.h, count(*), string_agg(x.t, '','' order by x.id)', 'group by s.h');
select who('s.h, count(*), sum(x.i4)', 'group by s.h');
select who('s.h, counted(x.i4)', 'group by s.h');
select who('s.h, string_agg(x.t, random()::text)', 'group by s.h');
select who('s.h, array_agg(x.i4)', 'group by rollup(s.h)');
select who('s.h, array_agg(x.i4 order by (select max(g) from box))', 'group by s.h');
select who('s.h, array_agg(q.id)', 'join (select id, g from piece order by id offset 0) q on q.g = s.g group by s.h');
select who('s.h, array_agg(q.id order by q.id)', 'join (select id, g from piece order by id offset 0) q on q.g = s.g group by s.h');
select * from in_boxes('s.h, counted(x.i4)', 'group by s.h');
select * from in_boxes('s.h, x.b, array_agg(x.id order by x.id)', 'group by rollup(s.h, x.b)');

-- parameters and repetition
prepare by_share(float8, text) as select s.h, percentile_disc($1) within group (order by x.n), string_agg(x.t, $2 order by x.id) from piece x join box s on x.g = s.g group by s.h;
set plan_cache_mode = force_generic_plan;
create function shares(share float8, separator text, out off text, out "on" text) language plpgsql as $$
declare
    got text;
begin
    for turn in 0 .. 1 loop
        perform set_config('joinscan.enabled', (turn = 1)::text, true);
        begin
            execute format('create temp table got on commit drop as execute by_share (%L, %L)', share, separator);
            select count(*) || ' rows, ' || sum(hashtextextended(g::text, 0)) into got from got g;
            drop table got;
        exception when others then
            got := sqlstate || ': ' || sqlerrm;
        end;
        if turn = 0 then off := got; else "on" := case when got = off then 'same' else got end; end if;
    end loop;
    off := split_part(off, ',', 1);
end $$;
explain (costs off) execute by_share (0.2, '-');
select * from shares(0.2, '-');
select * from shares(0.9, null);
select * from shares(1.9, '+');
select agrees('select b.h, (select string_agg(x.t || b.name, '','' order by x.id) from piece x join box s on x.g = s.g where s.h = b.h) from box b');
reset plan_cache_mode;
-- many groups, and more than memory holds: temporary files
select * from compare('select x.id, y.id, array_agg(s.name order by s.g), stddev(x.n) from piece x join piece y on x.g = y.g join box s on s.g = x.g where x.id < 300 group by x.id, y.id');
set work_mem = '64kB';
set hash_mem_multiplier = 100;
select * from compare('select x.id, string_agg(y.t || y.id, '','' order by y.id), stddev(y.n) from piece x join piece y on x.g = y.g group by x.id');
select * from compare('select x.id, length(string_agg(y.t || y.id, '','')), stddev(y.n) from piece x join piece y on x.g = y.g group by x.id');
reset work_mem;
reset hash_mem_multiplier;
-- half of it alone
begin;
declare few cursor for select s.h, array_agg(x.id order by x.id) from piece x join box s on x.g = s.g where x.id < 30 group by s.h order by s.h;
fetch 2 from few;
close few;
commit;
select * from compare('select x.id, array_agg(y.id order by y.id) from piece x join piece y on x.g = y.g where y.id < 30 and x.id < 3 group by x.id limit 3');
