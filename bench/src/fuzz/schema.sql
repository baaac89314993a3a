-- What the random queries read. Every table has the same columns, so that any may stand for any; the values are made
-- from a hash of row and column, the same each time: limits, NaN, infinities, blanks, duplicates, skew and NULLs.
drop schema if exists fuzz cascade;
create schema fuzz;
set search_path = fuzz, public;

create type mood as enum ('sad', 'ok', 'happy');
create domain posint as int check (value > 0);
create type pair as (x int, y text);

create function h(i int, col int) returns int language sql immutable as
    $$ select (hashint8extended(i, col) & 1048575)::int $$;

create table empty (
    k int, i2 int2, i4 int4, i8 int8, n0 numeric(10), n2 numeric(12, 2), n4 numeric(18, 4), nu numeric, f4 float4, f8 float8,
    q float8, t text, c char(8), v varchar(20), d date, ts timestamp, tz timestamptz, iv interval, tm time, b bool, u uuid, ba bytea,
    j jsonb, a int[], e mood, dm posint, p pair);

-- n rows; a value is NULL in `nulls` of 100 cases
create procedure fill(tab regclass, n int, salt int, nulls int) language plpgsql as $$
declare
    made text[] := array[
        'case when h(i, 40) % 3 = 0 then h(i, 41) % 4 else h(i, 42) % 60 end',
        '(case h(i, 2) % 12 when 0 then 32767 when 1 then -32768 when 2 then 0 else h(i, 3) % 40 - 10 end)::int2',
        'case h(i, 4) % 14 when 0 then 2147483647 when 1 then -2147483648 when 2 then 0 else h(i, 5) % 50 - 10 end',
        'case h(i, 6) % 14 when 0 then 9223372036854775807 when 1 then -9223372036854775808 when 2 then 2147483647
              else h(i, 7) % 50 - 10 end',
        '(case h(i, 8) % 10 when 0 then 9999999999 when 1 then -9999999999 when 2 then ''NaN''::numeric else h(i, 9) % 40 end)',
        '(case h(i, 10) % 12 when 0 then ''NaN'' when 1 then 9999999999.99 when 2 then -0.01
               when 3 then h(i, 11) % 30 / 4.0 else h(i, 11) % 40 end)',
        '(case h(i, 12) % 12 when 0 then ''NaN'' when 1 then 99999999999999.9999 when 2 then 0.0001
               when 3 then h(i, 13) % 30 / 4.0 else h(i, 13) % 40 end)',
        '(array[''NaN'', ''Infinity'', ''-Infinity'', ''1.0'', ''1.00'', ''1'', ''0'', ''0.000'', ''-3.14159265358979323846264'',
                ''12345678901234567890123456789012345678901234567890.5'', ''7'', ''7.50'', ''1e-30'', ''20'', ''31.0''])[
                1 + h(i, 14) % 15]::numeric',
        '(array[''NaN'', ''Infinity'', ''-Infinity'', ''0'', ''-0'', ''1'', ''1.5'', ''3'', ''0.1'', ''16777217'', ''7''])[1 + h(i, 15) % 11]::float4',
        '(array[''NaN'', ''Infinity'', ''-Infinity'', ''0'', ''-0'', ''1'', ''1.5'', ''3'', ''0.1'', ''9007199254740993'', ''7'', ''12'', ''20'',
                ''1e300'', ''-2.25''])[1 + h(i, 16) % 15]::float8',
        '(case h(i, 43) % 9 when 0 then ''-0''::float8 when 1 then 0 else (h(i, 44) % 81 - 40) / 4.0 end)',
        '(array['''', '' '', ''a'', ''A'', ''a '', ''ab'', ''abc  '', ''ß'', ''é'', E''e\u0301'', ''日本'', ''%'', ''_'', ''\'', ''x"y'', ''10'', ''7'', ''b''])[
                1 + h(i, 17) % 18] || case when h(i, 18) % 4 = 0 then (h(i, 19) % 5)::text else '''' end',
        '(array['''', ''a'', ''A'', ''ab'', ''abc'', ''ß'', ''é'', ''日本'', ''b'', ''7''])[1 + h(i, 20) % 10]',
        '(array['''', '' '', ''a'', ''A'', ''a '', ''ab'', ''abc  '', ''ß'', ''é'', ''日本'', ''b'', ''7''])[1 + h(i, 21) % 12]',
        'case h(i, 22) % 16 when 0 then ''infinity''::date when 1 then ''-infinity'' when 2 then ''4713-01-01 BC'' when 3 then ''5874897-12-31''
              when 4 then ''2000-02-29'' else date ''2020-01-01'' + h(i, 23) % 40 end',
        'case h(i, 24) % 16 when 0 then ''infinity''::timestamp when 1 then ''-infinity'' when 2 then ''294276-12-31 23:59:59.999999''
              when 3 then ''2020-01-03 00:00:00.000001'' else timestamp ''2020-01-01'' + h(i, 25) % 40 * interval ''12 hours'' end',
        'case h(i, 26) % 16 when 0 then ''infinity''::timestamptz when 1 then ''-infinity'' when 2 then ''1900-01-01 00:00:00+05:30''
              else timestamptz ''2020-01-01 00:00:00+00'' + h(i, 27) % 40 * interval ''12 hours'' end',
        '(array[''1 mon'', ''30 days'', ''720:00:00'', ''-1 day'', ''24:00:00'', ''1 day'', ''0'', ''1 year 2 mons -3 days 04:05:06.7''])[
                1 + h(i, 28) % 8]::interval',
        '(array[''00:00'', ''24:00'', ''12:34:56.789'', ''23:59:59.999999'', ''12:00''])[1 + h(i, 29) % 5]::time',
        'h(i, 30) % 3 = 0',
        '(array[''00000000-0000-0000-0000-000000000000'', ''ffffffff-ffff-ffff-ffff-ffffffffffff''])[h(i, 31) % 9]::uuid',
        '(array[''\x'', ''\x00'', ''\xff00'', ''\x6162''])[1 + h(i, 32) % 5]::bytea',
        '(array[''null'', ''1'', ''1.0'', ''"a"'', ''{}'', ''{"k": 1, "v": [1, 2]}'', ''[]'', ''[null]''])[1 + h(i, 33) % 8]::jsonb',
        '(array[''{}'', ''{1}'', ''{1,2,3}'', ''{NULL}'', ''{{1,2},{3,4}}'', ''{7}''])[1 + h(i, 34) % 6]::int[]',
        '(array[''sad'', ''ok'', ''happy''])[1 + h(i, 35) % 3]::mood',
        '1 + h(i, 36) % 50',
        '(array[''(1,a)'', ''(1,)'', ''(,b)'', ''(7,"")'', ''(,)''])[1 + h(i, 37) % 5]::pair'];
    list text := '';
begin
    for c in 1 .. array_length(made, 1) loop
        list := list || format('%s case when h(i, %s) %% 100 < %s then null else %s end', case when c > 1 then ',' end,
                               100 + c, nulls, made[c]);
    end loop;
    execute format('insert into %s (k, i2, i4, i8, n0, n2, n4, nu, f4, f8, q, t, c, v, d, ts, tz, iv, tm, b, u, ba, j, a, e, dm, p)
                    select %s from generate_series(%s, %s) i', tab, list, salt * 100000 + 1, salt * 100000 + n);
end $$;

create table one (like empty);
call fill('one', 1, 1, 0);
create table few (like empty);
call fill('few', 30, 2, 15);
create table mid (like empty);
call fill('mid', 300, 3, 5);
create table many (like empty);
call fill('many', 2500, 4, 10);
create index on many (k, i2);
create index on many (i4);
create index on many (i8);
create index on many (t);
create index on many (d desc);
create index on many (n2);
create table never_null (like empty);
alter table never_null alter k set not null, alter i4 set not null, alter t set not null, alter d set not null;
call fill('never_null', 120, 5, 0);

-- One key all over, and NULLs in half of the rows.
create table skewed (like empty);
call fill('skewed', 400, 6, 50);
update skewed set k = 1 where k is not null and h(coalesce(i4, 0), 1) % 10 > 0;

create table keyed (id serial primary key, like empty);
call fill('keyed', 900, 7, 5);
create index on keyed (k);
create index on keyed (t, i4);

create table parted (like empty) partition by range (k);
create table parted_low partition of parted for values from (0) to (10);
create table parted_mid partition of parted for values from (10) to (40);
create table parted_rest partition of parted default;
call fill('parted', 350, 8, 8);

-- The same bounds, with partitions in one of the partitions.
create table parted_too (like empty) partition by range (k);
create table parted_too_low partition of parted_too for values from (0) to (10) partition by list (b);
create table parted_too_low_true partition of parted_too_low for values in (true);
create table parted_too_low_rest partition of parted_too_low default;
create table parted_too_mid partition of parted_too for values from (10) to (40);
create table parted_too_rest partition of parted_too default;
call fill('parted_too', 250, 14, 8);

create table hashed (like empty) partition by hash (t);
create table hashed_0 partition of hashed for values with (modulus 2, remainder 0);
create table hashed_1 partition of hashed for values with (modulus 2, remainder 1);
call fill('hashed', 200, 15, 8);

create table parent (like empty);
create table child (extra text default 'x') inherits (parent);
call fill('parent', 60, 9, 5);
call fill('child', 60, 10, 5);

-- Columns that came and went: rows before and after.
create table altered (gone int, like empty);
call fill('altered', 80, 11, 10);
alter table altered drop gone, drop i4, drop n2, drop t, drop b;
alter table altered add i4 int default 7, add t text default 'abc', add n2 numeric(12, 2) default 1.50, add b bool;
call fill('altered', 80, 12, 10);

-- Out of line, compressed and not.
create table toasted (like empty);
call fill('toasted', 50, 13, 10);
update toasted set t = (select string_agg(md5(k || '-' || i), '') from generate_series(1, 200) i) where k % 3 = 0;
update toasted set t = repeat(t || 'ab', 9000), ba = convert_to(repeat('x', 20000), 'UTF8') where k % 3 = 1;

-- An aggregate with all that PostgreSQL's parallel plans ask for, and one without.
create aggregate top (text) (sfunc = text_larger, stype = text, combinefunc = text_larger, parallel = safe);
create aggregate chain (int) (sfunc = int4larger, stype = int);

create view seen as select * from mid where k is not null;
create view barred with (security_barrier) as select * from few where i4 is distinct from 3;

-- Dead rows.
delete from mid where k = 13;
update many set i2 = 5 where k = 3;

analyze;
vacuum mid, keyed;
