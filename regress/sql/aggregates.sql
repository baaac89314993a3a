-- Grouping and aggregates over joins: PostgreSQL's values, types, scales and errors.
create table edge (
    id int, g int, b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(12, 2),
    w numeric(40, 10), t text, v varchar(20), c char(5), d date, ts timestamp, tz timestamptz, iv interval, tm time, u uuid,
    a int[], j jsonb);
insert into edge
    select i, i % 13, i % 3 = 0, i % 50 - 20, i * 7 % 101 - 50, (i % 29 - 14) * 1000000007::bigint, (i % 17 - 8) / 4.0, (i % 19 - 9) / 8.0,
           (i % 23 - 11) / 10.0, (i % 31 - 15) / 4.0, (i % 37 - 18) * 12345678901234567.0123456789, 'text ' || i % 11, 'v' || i % 7,
           'c' || i % 5, date '2000-01-01' + i % 41, timestamp '2000-01-01' + i % 43 * interval '1 hour 1 microsecond',
           timestamptz '2000-01-01 00:00+00' + i % 47 * interval '1 day', i % 9 * interval '1 day 1 hour', time '00:00' + i % 10 * interval '1 hour',
           ('00000000-0000-0000-0000-00000000000' || i % 6)::uuid, array[i % 4, i % 3], jsonb_build_object('k', i % 5)
      from generate_series(1, 600) i;
-- group 100: the ends; 101: NaN and infinities; 102: values that are equal and look different; 103: NULLs alone
insert into edge (id, g, i2, i4, i8, f4, f8, n, w, d, ts, iv) values
    (1001, 100, 32767, 2147483647, 9223372036854775807, 0.25, 0.25, 99999999999999999999999999999999999999.5, 999999999999999999999999999999.9999999999, '5874897-12-31', '294276-12-31 23:59:59.999999', '1 year'),
    (1002, 100, 32767, 2147483647, 9223372036854775807, 0.5, 0.5, 0.00000000000000000000000000000000000001, 999999999999999999999999999999.9999999999, '4713-01-01 BC', '4713-01-01 BC', '-1 mon'),
    (1003, 100, 32767, 2147483647, 9223372036854775807, -0.75, -0.75, -99999999999999999999999999999999999999.5, 0.0000000001, '2000-01-01', '2000-01-01', '30 days'),
    (1004, 101, null, null, null, 'NaN', 'NaN', 'NaN', 'NaN', 'infinity', 'infinity', null),
    (1005, 101, null, null, null, 'Infinity', 'Infinity', 'Infinity', 1, '-infinity', '-infinity', null),
    (1006, 101, null, null, null, '-Infinity', '-Infinity', '-Infinity', 2, null, null, null),
    (1007, 102, 0, 0, 0, '-0', '-0', 1.0, 0, '2000-01-01', '2000-01-01', '1 mon'),
    (1008, 102, 0, 0, 0, '0', '0', 1.00, 0, '2000-01-01', '2000-01-01', '30 days'),
    (1009, 102, 0, 0, 0, '-0', '-0', 1, 0.0, '2000-01-01', '2000-01-01', '720 hours'),
    (1010, 103, null, null, null, null, null, null, null, null, null, null),
    (1011, 103, null, null, null, null, null, null, null, null, null, null);
update edge set c = case when id % 2 = 0 then 'same' else 'same ' end, t = 'same' where g = 102;
create table side (g int primary key, h int not null, name text not null, at date not null);
insert into side select i, i % 3, 'side ' || i, date '2020-01-01' + i from generate_series(0, 12) i;
insert into side select i, i, 'side ' || i, date '2020-01-01' + i from generate_series(100, 103) i;
create table nobody (g int, x numeric(10, 2), t text);
analyze edge, side, nobody;
create function joined(list text, rest text default '', out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare(format('select %s from edge x join side s on x.g = s.g %s', list, rest))
$$;
create function joined_failing(list text, rest text default '', out off text, out leader text, out workers text) language sql as $$
    select * from compare_outcome(format('select %s from edge x join side s on x.g = s.g %s', list, rest))
$$;

-- without GROUP BY
select * from joined('count(*)');
select * from joined('count(*), count(x.b), count(x.t), sum(x.i2), sum(x.i4), sum(x.i8), avg(x.i4), avg(x.i8), min(x.i4), max(x.i8)');
select * from joined('sum(x.f8), avg(x.f8), sum(x.f4), avg(x.f4), min(x.f8), max(x.f4)', 'where x.g < 100');
select * from joined('sum(x.n), avg(x.n), sum(x.n2), avg(x.n2), sum(x.w), avg(x.w), max(x.w)', 'where x.g < 100');
-- one key of each type
select * from joined('s.g, count(*)', 'group by s.g');
select * from joined('s.name, count(*), sum(x.i4)', 'group by s.name');
select * from joined('x.b, count(*)', 'group by x.b');
select * from joined('x.i2, sum(x.i8)', 'group by x.i2');
select * from joined('x.i8, count(*)', 'group by x.i8');
select * from joined('x.f4 + 0, count(*)', 'group by x.f4');
select * from joined('x.f8 + 0, count(*)', 'group by x.f8');
select * from joined('trim_scale(x.n), count(*)', 'group by x.n');
select * from joined('x.n2, sum(x.n2)', 'group by x.n2');
select * from joined('x.w, count(*)', 'group by x.w');
select * from joined('x.t, avg(x.n)', 'group by x.t');
select * from joined('x.v, min(x.v)', 'group by x.v');
select * from joined('x.c, count(*)', 'group by x.c');
select * from joined('x.d, sum(x.n)', 'group by x.d');
select * from joined('x.ts, max(x.ts)', 'group by x.ts');
select * from joined('x.tz, count(*)', 'group by x.tz');
select * from joined('interval_hash(x.iv), count(*)', 'group by x.iv');
select * from joined('x.tm, count(*)', 'group by x.tm');
select * from joined('x.u, count(*)', 'group by x.u');
select * from joined('x.a, count(*)', 'group by x.a');
select * from joined('x.j, count(*)', 'group by x.j');
-- several keys, expressions, keys that are not selected, a constant
select * from joined('x.t, s.h, x.d, count(*)', 'group by x.t, s.h, x.d');
select * from joined('x.i4 % 10, upper(x.t), sum(x.n2)', 'group by 1, 2');
select * from joined('count(*)', 'group by x.t, s.h');
select * from joined('sum(x.i4)', 'group by extract(month from x.d), x.b is null');
select * from joined('5 as five, count(*)', 'group by 1');
select * from joined('x.i4 + s.h, max(x.i4 * s.h)', 'where x.g < 100 group by x.i4 + s.h');
-- groups and no aggregate
select * from joined('s.h', 'group by s.h');
-- what depends on a primary key
select * from joined('s.g, s.name, s.at, sum(x.i4)', 'group by s.g');
select * from compare($$ select b.id, b.segment, b.since, n.name, count(*), sum(p.total) from buyer b join purchase p on p.buyer = b.id join nation n on n.id = b.nation group by b.id, n.id $$);
-- few groups, many, one for each row; keys in the two tables
select * from compare($$ select l.flag, count(*), sum(l.price), avg(l.discount), sum(l.price * (1 - l.discount)) from purchase p join line l on p.id = l.purchase group by l.flag $$);
select * from compare($$ select p.id, sum(l.price) from purchase p join line l on p.id = l.purchase group by p.id $$);
select * from compare($$ select p.id, l.pos, count(*) from purchase p join line l on p.id = l.purchase group by p.id, l.pos $$);
select * from compare($$ select p.placed, l.product, max(l.price), string_agg(p.note, ',' order by p.note) from purchase p join line l on p.id = l.purchase group by 1, 2 $$);
select * from compare($$ select n.name, sum(l.price) from nation n join buyer b on b.nation = n.id join purchase p on p.buyer = b.id join line l on l.purchase = p.id group by n.name $$);
-- over every kind of join
select * from compare($$ select b.nation, count(p.id), sum(p.total) from buyer b left join purchase p on b.id = p.buyer group by b.nation $$);
select * from compare($$ select b.segment, count(*), count(b.id) from buyer b right join purchase p on b.id = p.buyer group by b.segment $$);
select * from compare($$ select b.segment, p.note, count(*) from buyer b full join purchase p on b.id = p.buyer group by 1, 2 $$);
select * from compare($$ select b.segment, count(*) from buyer b where exists (select from purchase p where p.buyer = b.id and p.total > 4000) group by b.segment $$);
select * from compare($$ select b.segment, avg(b.balance) from buyer b where not exists (select from purchase p where p.buyer = b.id and p.total > 3000) group by b.segment $$);

-- no rows: a row of NULLs and zeros without GROUP BY, none with it
select * from joined('count(*), count(x.t), sum(x.i4), sum(x.n), avg(x.f8), min(x.t), bool_and(x.b), bit_or(x.i4), stddev(x.f8), string_agg(x.t, '','')', 'where x.id < 0');
select * from joined('s.h, count(*), sum(x.i4)', 'where x.id < 0 group by s.h');
select * from joined('count(*)', 'where x.id < 0 having count(*) > 0');
select * from joined('count(*)', 'where x.id < 0 group by ()');
select * from joined('s.h, count(*)', 'where x.id < 0 group by grouping sets ((s.h), ())');
select * from compare($$ select count(*), sum(x.x), max(o.t) from nobody x join nobody o on x.g = o.g $$);
select * from compare($$ select count(*), count(o.g), sum(o.x) from side s left join nobody o on s.g = o.g $$);

-- sums beyond their arguments' types, and the scale of sums and averages, which is part of the value
set joinscan.enabled = on;
select x.g, sum(x.i2) as i2, sum(x.i4) as i4, sum(x.i8) as i8, avg(x.i8) as average, sum(x.n) as n, sum(x.w) as w
  from edge x join side s on x.g = s.g where x.g >= 100 group by x.g order by x.g;
select pg_typeof(sum(x.i2)), pg_typeof(sum(x.i4)), pg_typeof(sum(x.i8)), pg_typeof(sum(x.f4)), pg_typeof(avg(x.f4)), pg_typeof(avg(x.i2)),
       pg_typeof(sum(x.iv)), pg_typeof(min(x.v)), pg_typeof(max(x.c)), pg_typeof(sum(x.n2))
  from edge x join side s on x.g = s.g;
select x.g, sum(x.f4) as f4, sum(x.f8) as f8, avg(x.f8) as average, min(x.f8), max(x.f8), var_pop(x.f8)::float4 as variance
  from edge x join side s on x.g = s.g where x.g in (100, 101, 103) group by x.g order by x.g;
select x.g, min(x.d), max(x.d), min(x.ts), max(x.ts), sum(x.iv) from edge x join side s on x.g = s.g where x.g >= 100 group by x.g order by x.g;
select avg(x.n2) as n2, avg(x.n) as n, avg(x.w) as w, avg(x.i4) as i4, sum(x.n) as sum from edge x join side s on x.g = s.g where x.g < 3;
reset joinscan.enabled;
select * from joined('x.g, sum(x.i8), avg(x.i8), sum(x.w), avg(x.w), sum(x.n), avg(x.n)', 'group by x.g');
select * from joined('x.g, sum(x.n * x.n2), sum(x.n2 * (1 - x.n2) * (1 + x.n2)), avg(x.n2 / 3)', 'group by x.g');
select * from compare($$ select sum(x.i8), sum(x.i8::numeric), avg(x.i8), sum(x.w) from edge x join generate_series(1, 2000) k on true where x.g = 100 $$);
-- float sums that are the same in any order, and -0
select * from joined('x.g, sum(x.f8), avg(x.f8), sum(x.f4), avg(x.f4)', 'group by x.g');
select * from joined('sum(x.f8), sum(x.f4)', 'where x.id in (1007, 1009)');
select * from joined('sum(distinct x.f8) + 0', 'where x.g = 102');

-- values that are equal are one group, however they are written
set joinscan.enabled = on;
select count(*) from (select x.f8 from edge x join side s on x.g = s.g where x.g = 102 group by x.f8) y;
select count(*) from (select x.f4 from edge x join side s on x.g = s.g where x.g in (101, 102) group by x.f4) y;
select count(*) from (select x.n from edge x join side s on x.g = s.g where x.g = 102 group by x.n) y;
select count(*) from (select x.c from edge x join side s on x.g = s.g where x.g = 102 group by x.c) y;
select count(*) from (select x.iv from edge x join side s on x.g = s.g where x.g = 102 group by x.iv) y;
select count(*) from (select x.t, x.d from edge x join side s on x.g = s.g where x.g = 103 group by x.t, x.d) y;
reset joinscan.enabled;
-- inf - inf is a NaN with its sign set on x86: the same group as 'NaN'
select * from joined('x.f8 - x.f8, count(*)', 'where x.g in (101, 102) group by 1');

-- bool_and and its kin, bits, statistics
select * from joined('x.g, bool_and(x.b), bool_or(x.b), every(x.i4 > 0)', 'group by x.g');
select * from joined('x.g, bit_and(x.i2), bit_or(x.i4), bit_xor(x.i8)', 'group by x.g');
select * from joined('x.g, stddev(x.f8)::float4, stddev_pop(x.f8)::float4, variance(x.f8)::float4, var_pop(x.f8)::float4', 'where x.g < 100 group by x.g');
select * from joined('x.g, stddev(x.i4), variance(x.n2), var_pop(x.i8), stddev_samp(x.n)', 'group by x.g');
-- those of integers and decimals are numerics, to the last digit
select * from joined('x.g, var_pop(x.i2), var_samp(x.i4), variance(x.i8), stddev_pop(x.n2), stddev_samp(x.i2), stddev(x.i8)', 'group by x.g');
select * from joined('var_pop(x.i8), stddev(x.i8), stddev(x.n2) filter (where x.i4 > 0), var_samp(distinct x.i4), stddev_pop(x.i2 + x.id), variance(x.n2 * x.n2)');
select * from joined('x.id, var_samp(x.i4), var_pop(x.n2), stddev(x.i8)', 'where x.g < 2 or x.g > 99 group by x.id');
select * from joined('x.g, stddev((x.n2 / 7)::numeric(38, 30)), var_pop(x.w), var_samp(case when x.i4 < 0 then ''NaN'' else x.n2 end)', 'group by x.g');
select * from joined('x.g, x.id, stddev(x.i4) over (partition by x.g order by x.id rows between 3 preceding and current row), var_pop(x.n2) over (partition by x.g order by x.id)');
explain (costs off) select x.g, stddev(x.i4), variance(x.n2), var_pop(x.i8) from edge x join side s on x.g = s.g group by x.g;
select * from joined('round(corr(x.f8, x.i4)::numeric, 9), round(covar_pop(x.f8, s.h)::numeric, 9), round(regr_slope(x.f8, x.i4)::numeric, 9), regr_count(x.f8, x.i4), round(regr_r2(x.i4, x.f8)::numeric, 9)', 'where x.g < 100');
-- one row, where a variance is NULL or zero
select * from joined('x.id, stddev(x.f8), var_pop(x.f8), corr(x.f8, x.i4)', 'where x.g = 1 group by x.id');

-- text, dates, intervals
select * from joined('s.h, min(x.t), max(x.t), min(x.v), max(x.c)', 'group by s.h');
select * from joined('s.h, min(x.d), max(x.ts), min(x.tz), max(x.tm), sum(x.iv), avg(x.iv)', 'where x.g < 100 group by s.h');
select * from joined('s.h, max(x.a)', 'group by s.h');
select * from joined('s.h, min(x.t collate "C"), max(x.t collate "POSIX")', 'group by s.h');

-- DISTINCT
select * from joined('count(distinct x.t), count(distinct x.i4), count(distinct x.n), count(distinct x.f8), count(distinct x.c)');
select * from joined('s.h, count(distinct x.t), sum(distinct x.i4), avg(distinct x.n2)', 'group by s.h');
select * from joined('s.h, count(distinct x.t), count(x.t), count(distinct x.d), sum(x.i4)', 'group by s.h');
select * from joined('s.h, count(distinct (x.t, x.i2))', 'group by s.h');
select * from joined('s.h, sum(distinct s.g) filter (where s.g > 3), count(distinct s.name) filter (where s.g < 0)', 'group by s.h');
-- ORDER BY
select * from joined('s.h, string_agg(x.t, '','' order by x.t, x.id), array_agg(x.i4 order by x.id desc)', 'group by s.h');
select * from joined('string_agg(distinct x.t, ''/''), array_agg(distinct x.i2 order by x.i2 desc nulls last)');
select * from joined('s.h, json_agg(x.d order by x.id), jsonb_object_agg(x.id, x.i4)', 'group by s.h');
select * from joined('s.h, percentile_disc(0.4) within group (order by x.i4), percentile_cont(0.5) within group (order by x.f8), mode() within group (order by x.t)', 'where x.g < 100 group by s.h');
select * from joined('percentile_disc(array[0.1, 0.9]) within group (order by x.d), rank(3) within group (order by x.i4)');
-- FILTER
select * from joined('count(*) filter (where x.i4 > 0), sum(x.n2) filter (where x.t <> ''text 3''), avg(x.i4) filter (where false)');
select * from joined('s.h, count(*) filter (where x.b), sum(x.i4) filter (where x.i4 > s.h), count(distinct x.t) filter (where x.i2 > 0)', 'group by s.h');
select * from joined('s.h, string_agg(x.t, '','' order by x.id) filter (where x.id % 50 = 0)', 'group by s.h');
-- HAVING
select * from joined('s.name, count(*)', 'group by s.name having count(*) > 45');
select * from joined('s.h', 'group by s.h having sum(x.i4) is null or max(x.t) like ''text%''');
select * from joined('s.h, sum(x.n2)', 'group by s.h having avg(x.n2) < 0 and s.h < 50');
select * from joined('1', 'having count(*) > 1000000');
select * from joined('s.h', 'group by s.h having sum(x.i4) > (select avg(i4) from edge)');
select * from joined('s.h', 'group by s.h having count(*) > (select count(*) from side q where q.h = s.h)');

-- expressions over aggregates and keys
select * from joined('s.h, sum(x.i4) / nullif(count(x.b), 0), 100.00 * sum(x.n2) / nullif(sum(x.i4), 0), s.h + max(x.i4)', 'where x.g < 100 group by s.h');
select * from joined('case when count(*) > 3 then min(x.t) else max(x.t) end, coalesce(sum(x.i4), 0) + 1', 'group by x.g');
select * from joined('upper(s.name) || count(*), round(avg(x.n2), 1), sum(x.f8) * 2', 'where x.g < 100 group by s.name');
select * from joined('sum(x.i4) filter (where x.b)::numeric / count(*), greatest(max(x.d), s.at)', 'group by s.g');
select * from joined('sum(x.i4 + s.h) - sum(x.i4) - sum(s.h)', 'where x.g < 100');
select * from joined('sum(case when x.t = ''text 1'' then x.n2 else 0 end) / sum(x.n2 + 100)', 'where x.g < 100 group by x.d');

-- GROUPING SETS and their kin
select * from joined('x.t, s.h, grouping(x.t), grouping(x.t, s.h), count(*), sum(x.n2)', 'group by rollup (x.t, s.h)');
select * from joined('x.b, s.h, x.i2, grouping(x.b, s.h, x.i2), count(*), sum(x.i4)', 'group by cube (x.b, s.h, x.i2)');
select * from joined('x.t, s.h, sum(x.i4)', 'group by grouping sets ((x.t), (s.h), ())');
select * from joined('x.t, s.h, sum(x.i4)', 'group by x.t, grouping sets ((s.h), (), ())');
select * from joined('s.h, count(distinct x.t)', 'group by rollup (s.h) having grouping(s.h) = 1 or count(*) > 10');
select * from joined('x.f8 + 0, x.c, count(*)', 'group by grouping sets ((x.f8), (x.c), (x.f8, x.c))');
select * from joined('s.h, x.b, avg(x.n)', 'group by distinct rollup (s.h, x.b), rollup (s.h)');
select * from joined('s.h, x.b, count(*), sum(s.h), max(x.t), min(x.n)', 'where x.id < 0 group by rollup (s.h, x.b)');
select * from joined('x.f8 + 0, trim_scale(x.n), grouping(x.n, x.f8 + 0), count(*)', 'group by grouping sets ((x.f8 + 0), (x.n), (x.f8 + 0, x.n), (), ())');
select * from joined('s.h, s.h as again, count(*)', 'group by rollup (1), rollup (2)');
select * from joined('count(*)', 'group by grouping sets ((), ())');
select * from joined('s.h, grouping(s.h), count(distinct x.t)', 'group by grouping sets ((s.h)) having grouping(s.h) = 0');
select * from joined('distinct grouping(x.b) + 1, s.h', 'group by cube (x.b, s.h)');
explain (costs off, verbose) select x.b, s.h, grouping(s.h), count(*) from edge x join side s on x.g = s.g group by rollup (x.b, s.h) having grouping(x.b) = 0;

-- errors: the same, where PostgreSQL raises them
select * from joined_failing('sum(x.i4)::int4', 'where x.g = 100');
select * from joined_failing('max(x.i4) + 1', 'group by x.g');
select * from joined_failing('max(x.i8) + 1');
select * from joined_failing('sum(x.i4) / (count(*) - count(x.g))');
select * from joined_failing('sum(1 / x.i4)', 'group by s.h');
select * from joined_failing('sum(x.i4 * 1000000)', 'group by s.h');
select * from joined_failing('sum(x.f8 * 1e308 * 4)', 'where x.g = 1');
select * from joined_failing('sum(y.f)', 'join (values (1, 1.7e308::float8), (2, 1.7e308)) y (h, f) on s.h = y.h');
select * from joined_failing('sum(y.f)', 'join (values (1, 3.4e38::float4), (2, 3.4e38)) y (h, f) on s.h = y.h');
select * from joined_failing('var_pop(y.f)', 'join (values (1, 1e200::float8), (2, -1e200)) y (h, f) on s.h = y.h');
select * from joined_failing('sum(x.iv * 2000000000)', 'where x.iv > interval ''0''');
select * from joined_failing('percentile_disc(1.5) within group (order by x.i4)');
select * from joined_failing('s.h, (select q.g from side q where q.h = s.h)', 'group by s.h having count(*) > 0');
select * from joined_failing('count(*)', 'group by x.i4 / (x.g - 5)');
select * from joined_failing('s.h', 'group by s.h having 1 / (count(*) - count(*)) > 0');

-- aggregates of one's own: with what parallel plans need, and without
create aggregate top (text) (sfunc = text_larger, stype = text, combinefunc = text_larger, parallel = safe);
create aggregate chain (int) (sfunc = int4larger, stype = int);
select * from joined('s.h, top(x.t), chain(x.i4), sum(x.i4)', 'group by s.h');

-- below other parts of a query
select * from compare($$ select y.h, y.total, s.name from (select s.h, sum(x.i4) total from edge x join side s on x.g = s.g group by s.h) y join side s on s.h = y.h $$);
select * from compare($$ select s.name from side s join edge x on x.g = s.g where s.h in (select q.h from edge x join side q on x.g = q.g group by q.h having count(*) > 100) $$);
select * from compare($$ with c as (select s.h, sum(x.n2) total from edge x join side s on x.g = s.g group by s.h) select * from c where total = (select max(total) from c) $$);
select * from compare($$ select s.h, (select count(*) from edge x join side q on x.g = q.g where q.h = s.h) from side s join edge y on y.g = s.g group by s.h $$);
select * from compare($$ select s.name, x.n2 from side s join edge x on x.g = s.g where x.n2 > (select 0.2 * avg(z.n2) from edge z where z.g = x.g) $$);
select * from compare($$ select h, count(*) from (select s.h, x.t, count(*) from edge x join side s on x.g = s.g group by s.h, x.t) y group by h $$);
select * from compare($$ select s.h, sum(x.i4) from edge x join side s on x.g = s.g group by s.h union all select s.h, count(*) from side s join edge x on s.g = x.g group by 1 $$);
select * from compare($$ select s.h from edge x join side s on x.g = s.g group by s.h union select s.g from side s join edge x on s.g = x.g group by 1 $$);
select * from compare($$ select s.name, l.total from side s join edge x on x.g = s.g, lateral (select sum(y.i4) total from edge y join side q on y.g = q.g where q.h = s.h) l where x.id < 20 $$);
-- as prepared statements
select * from prepared_agrees('(int, text)', $$ select s.h + $1, count(*), sum(x.n2) from edge x join side s on x.g = s.g where x.t <> $2 group by s.h + $1 having count(*) > $1 $$, '3, ''text 3''', '0, ''x''', 'null, null');
select * from prepared_agrees('(numeric)', $$ select s.name, sum(x.n2 * $1) from edge x join side s on x.g = s.g where x.g < 100 group by s.name $$, '1.50', '2', '''NaN''');
