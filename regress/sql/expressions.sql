-- Filters: the same rows, or the same error.
create table calc (id int primary key, a int, b int, s smallint, l bigint, f float8, g float4, n numeric(12, 2), m numeric(8, 4), t text, v varchar(30), c char(6), d date, ts timestamp, pattern text);
insert into calc
    select i, case when i % 7 > 0 then i % 50 - 10 end, i % 5, i % 100, i * 1000000000::bigint, (i % 21 - 10) / 2.0, (i % 9 - 4) / 4.0,
           (i % 200 - 100) / 8.0, (i % 25) / 8.0, case when i % 13 > 0 then 'text_' || i % 60 || '%' end, 'Var\' || i % 25, 'c' || i % 10,
           date '2020-01-01' + i, timestamp '2020-01-01 12:00' + i * interval '7 hours', 'te_t\_' || i % 6 || '%'
      from generate_series(1, 1000) i;
create table other as select i as id, i % 10 as k from generate_series(1, 1000) i;
analyze calc, other;
create function filtered(filter text, out rows bigint, out leader text, out workers text) language sql as $$
    select * from compare('select x.*, o.k from calc x join other o on x.id = o.id where ' || filter)
$$;
create function failing(filter text, out off text, out leader text, out workers text) language sql as $$
    select * from compare_outcome('select x.*, o.k from calc x join other o on x.id = o.id where ' || filter)
$$;

-- comparisons, each type with its constants
select * from filtered('x.a = 7');
select * from filtered('x.a <> 7');
select * from filtered('x.a < x.b and 3 <= x.b');
select * from filtered('x.l >= 5000000000 and x.s > 50::smallint and x.a < 5::bigint');
select * from filtered('x.f > 0.5 and x.g <= 0.25::float4');
select * from filtered('x.f = ''NaN''::float8 or x.f < ''-Infinity''::float8 or x.f > 3');
select * from filtered('x.n > 1.5 and x.n <= 7.125');
select * from filtered('x.n = x.m');
select * from filtered('x.d between date ''2020-03-01'' and ''2020-05-01'' and x.ts < timestamp ''2020-09-01''');
select * from filtered('x.d < ''infinity''');
select * from filtered('x.t = ''text_3%'' or x.t > ''text_5''  collate "C"');
select * from filtered('x.c = ''c3'' and x.c <> ''c4    ''');
select * from filtered('x.v = ''Var\7''');
-- both sides of the join in one condition
select * from filtered('x.b + o.k > 7');
-- NULL
select * from filtered('x.a is null');
select * from filtered('x.a is not null and x.t is null');
select * from filtered('not (x.a > 5)');
select * from filtered('(x.a > 5) is null');
select * from filtered('x.a > 5 or x.t is null');
select * from filtered('not (x.a > 5 and x.b < 3)');
select * from filtered('x.a = null');
select * from filtered('(x.a > 5) is true or (x.b > 3) is not true');
-- lists
select * from filtered('x.a in (1, 2, 3)');
select * from filtered('x.a in (1, null, 3)');
select * from filtered('x.a not in (1, 2, 3)');
select * from filtered('x.a not in (1, null, 3)');
select * from filtered('x.t in (''text_1%'', ''text_2%'') or x.c in (''c1'', ''c2 '')');
select * from filtered('x.n in (1.5, 2.25, ''NaN'')');
select * from filtered('x.a = any (array[1, 2, x.b])');
select * from filtered('x.a not between 1 and 10');
select * from filtered('x.a between x.b and x.b + 10');
-- arithmetic
select * from filtered('x.a + x.b - 3 > 10');
select * from filtered('x.a * x.b = 36');
select * from filtered('-x.a > 3');
select * from filtered('x.a / 3 = 2');
select * from filtered('(-7) / 2 = -3 and x.a % 3 = 1');
select * from filtered('x.l + x.a > 700000000000');
select * from filtered('x.s * 3::smallint > 200');
select * from filtered('x.f * 2 + x.g > 4.5');
select * from filtered('x.n * (1 - x.m) > 0.5');
select * from filtered('x.n + x.m < 1 and x.n - x.m > -3');
select * from filtered('x.d + 30 > date ''2021-01-01''');
select * from filtered('x.d - date ''2020-01-01'' > 100');
-- errors, as PostgreSQL raises them
select * from failing('x.a / (x.b - 2) > 0');
select * from failing('2147483600 + x.a > 0');
select * from failing('-2147483640 - x.a < 0');
select * from failing('x.a * 100000000 > 0');
select * from failing('x.s * 1000::smallint > 0');
select * from failing('x.s + 32700::smallint > 0::smallint');
select * from failing('x.l * 10000000000 > 0');
select * from failing('x.l + 9223372036854775000 > 0');
select * from failing('x.f / 0 > 1');
select * from failing('x.f * 1e308 * 10 > 1');
select * from failing('x.g / 0::float4 > 1');
select * from failing('x.n / (x.m - x.m) > 0');
select * from failing('(x.a - x.a + -2147483648) / -1 > 0');
select * from failing('x.t like ''text\''');
-- a condition guards the one after it
select * from failing('x.b <> 0 and x.a / x.b > 2');
select * from failing('x.b = 0 or x.a / x.b > 2');
select * from failing('(x.b <> 0 and x.a / x.b > 2) or x.a is null');
select * from failing('not (x.b = 0 or x.a / x.b > 2)');
select * from failing('x.f <> 0 and 10 / x.f > 1');
-- the filter of the table comes before the join: rows that join nothing raise too
select * from compare_outcome($$ select x.id from calc x join other o on x.l = o.id where x.a / x.b > 0 $$);
-- patterns
select * from filtered('x.t like ''text_1%''');
select * from filtered('x.t like ''text\_1%''');
select * from filtered('x.t like ''text!_1!%'' escape ''!''');
select * from filtered('x.t not like ''%5\%''');
select * from filtered('x.v like ''Var\\1%''');
select * from filtered('x.t like ''''');
select * from filtered('x.t like ''%''');
select * from filtered('x.t like ''_____3%''');
select * from filtered('x.c like ''c3%''');
select * from filtered('x.c like ''c3''');
select * from filtered('x.t like x.pattern');
select * from filtered('x.t ilike ''TEXT%''');
