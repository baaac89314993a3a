-- Window functions over joins.
create table walk (id int, k int, g int, n numeric(10, 2), f8 double precision, t text, d date);
insert into walk
    select i, i % 9, i % 4, case when i % 17 > 0 then (i * 13 % 101) / 4.0 end, (i % 21 - 10) / 4.0, case when i % 5 > 0 then 'text ' || i % 6 end,
           date '2020-01-01' + i * 3 % 50
      from generate_series(1, 400) i;
create table stop as select i as k, 'stop ' || i % 4 as name from generate_series(0, 8) i;
analyze walk, stop;
create function over_join(list text, rest text default '', out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare(format('select %s from walk x join stop s on x.k = s.k %s', list, rest))
$$;
-- numbers of rows; the id leaves no choice
select * from over_join('x.id, row_number() over (order by x.id)');
select * from over_join('x.id, row_number() over (partition by s.name order by x.n desc nulls last, x.id)');
select * from over_join('x.id, rank() over (order by x.n), dense_rank() over (order by x.n), percent_rank() over (order by x.n), cume_dist() over (order by x.n)');
select * from over_join('x.id, rank() over (partition by x.g, s.name order by x.t desc), dense_rank() over (partition by x.g order by s.name, x.d)');
select * from over_join('x.id, ntile(7) over (partition by s.name order by x.id desc)');
-- neighbours
select * from over_join('x.id, lag(x.n) over w, lead(x.n, 2) over w, lag(x.t, 3, ''none'') over w', 'window w as (partition by s.name order by x.id)');
select * from over_join('x.id, first_value(x.t) over w, last_value(x.id) over w, nth_value(x.n, 3) over w', 'window w as (partition by s.k order by x.d, x.id)');
select * from over_join('x.id, nth_value(x.id, 2) over (order by x.id rows between unbounded preceding and unbounded following)');
-- sums and frames
select * from over_join('x.id, count(*) over (), sum(x.n) over (), avg(x.n) over (partition by s.name)');
select * from over_join('x.id, sum(x.n) over (partition by s.name order by x.id), count(x.t) over (partition by s.name order by x.d)');
select * from over_join('x.id, sum(x.n) over (order by x.id rows between 3 preceding and 1 following), max(x.t) over (order by x.id rows 2 preceding)');
select * from over_join('x.id, sum(x.k) over (order by x.id desc range between 5 preceding and current row exclude current row)');
select * from over_join('x.id, sum(x.n) over (order by x.d range between interval ''3 days'' preceding and interval ''1 day'' following)');
select * from over_join('x.id, count(*) over (order by x.n range between 1.5 preceding and 0.25 following)');
select * from over_join('x.id, count(*) over (partition by x.g order by x.t groups between 1 preceding and 1 following exclude ties)');
select * from over_join('x.id, min(x.n) over (order by x.id rows between 2 following and 5 following), sum(x.f8) over (partition by x.g order by x.id)');
select * from over_join('x.id, sum(x.n) filter (where x.g > 1) over (partition by s.name order by x.id)');
select * from over_join('x.id, array_agg(x.g) over (partition by s.k order by x.id rows 3 preceding), string_agg(x.t, ''/'') over (partition by x.g order by x.id rows 1 preceding)');
-- two partitions, expressions, an order above, a limit
select * from over_join('x.id, sum(x.n) over (partition by s.name) - sum(x.n) over (partition by x.g, x.t), x.n / nullif(sum(x.n) over (partition by s.k), 0)');
select agrees_in_order($$ select x.id, row_number() over (order by x.n desc nulls last, x.id) r from walk x join stop s on x.k = s.k order by r limit 12 $$);
select agrees_in_order($$ select x.id, rank() over (partition by s.name order by x.d) r, s.name from walk x join stop s on x.k = s.k order by r desc, s.name, x.id $$);
-- the first of each partition
select * from compare($$ select * from (select x.id, s.name, row_number() over (partition by s.name order by x.n desc nulls last, x.id) r from walk x join stop s on x.k = s.k) q where r <= 3 $$);
select * from compare($$ select q.name, count(*) from (select s.name, rank() over (partition by s.name order by x.n) r from walk x join stop s on x.k = s.k) q join stop z on z.name = q.name where r < 10 group by q.name $$);
-- over groups
select * from over_join('s.name, count(*), rank() over (order by count(*) desc, s.name), sum(count(*)) over ()', 'group by s.name');
select * from over_join('s.name, x.g, sum(x.n), sum(sum(x.n)) over (partition by s.name order by x.g), 100.0 * sum(x.n) / sum(sum(x.n)) over ()', 'group by s.name, x.g');
select * from over_join('distinct x.g, dense_rank() over (order by x.g)');
-- with a condition that PostgreSQL moves below, grouping sets, keys that are constant, two windows over one partition
select * from compare($$ select * from (select x.id, s.name, row_number() over (partition by s.name order by x.id) r, rank() over (partition by s.name order by x.id) q from walk x join stop s on x.k = s.k) z where r <= 3 $$);
select * from over_join('s.name, grouping(s.name), rank() over (partition by grouping(s.name) order by count(*)), sum(sum(x.n)) over ()', 'group by rollup (s.name, x.g)');
select * from over_join('x.id, row_number() over (partition by 1 order by x.id), count(*) over (order by 1)');
select * from over_join('x.id, ntile(7) over (order by x.id), ntile(1000) over (partition by x.g order by x.id desc), lag(x.id, -2, x.k) over (order by x.id)');
explain (costs off) select x.id, row_number() over (partition by s.name order by x.n desc nulls last, x.id), sum(x.n) over (partition by s.name), max(x.n) over (order by x.id)
  from walk x join stop s on x.k = s.k;
explain (costs off) select * from (select x.id, rank() over (order by x.n) r from walk x join stop s on x.k = s.k) z where r < 5;
-- keys and arguments that have no native form: columns that PostgreSQL computes below the windows
create function fifth(i numeric) returns numeric language plpgsql immutable parallel safe as $$ begin return i / 5.0; end $$;
select * from over_join('x.id, row_number() over (partition by date_trunc(''month'', x.d)::text order by fifth(x.id) desc)');
select * from over_join('x.id, rank() over (partition by s.name order by fifth(x.n), x.id), sum(fifth(x.n)) over (partition by s.name order by x.id)');
select * from over_join('x.id, lag(fifth(x.n), 2) over (order by fifth(x.id)), first_value(md5(x.t)) over (partition by fifth(x.k) order by x.id)');
select * from over_join('x.id, count(fifth(x.n)) filter (where fifth(x.k) > 1) over (partition by x.g order by x.id)');
select * from over_join('fifth(x.k), sum(x.n), rank() over (order by fifth(sum(x.n)) desc, fifth(x.k)), max(fifth(max(x.n))) over ()', 'group by fifth(x.k)');
select agrees_in_order($$ select x.id, row_number() over (order by fifth(x.id) desc) r from walk x join stop s on x.k = s.k order by fifth(x.id - 7) limit 9 $$);
select * from compare_outcome($$ select x.id, rank() over (order by fifth(1 / (x.id - 3))) from walk x join stop s on x.k = s.k $$);
explain (costs off, verbose) select fifth(x.k), rank() over (order by fifth(sum(x.n))), sum(count(*)) over () from walk x join stop s on x.k = s.k group by fifth(x.k) order by fifth(x.k);
-- what is PostgreSQL's: the plan has its WindowAgg above
explain (costs off) select sum(x.n) over (order by x.id range between 3 preceding and current row) from walk x join stop s on x.k = s.k;
-- errors
select * from compare_outcome($$ select ntile(0) over (order by x.id) from walk x join stop s on x.k = s.k $$);
select * from compare_outcome($$ select sum(1 / (x.g - 1)) over (order by x.id) from walk x join stop s on x.k = s.k $$);
select * from compare_outcome($$ select sum(x.n) over (order by x.id rows between (select null::int) preceding and current row) from walk x join stop s on x.k = s.k $$);
select * from compare_outcome($$ select sum(x.n) over (order by x.id rows between -1 preceding and current row) from walk x join stop s on x.k = s.k $$);
