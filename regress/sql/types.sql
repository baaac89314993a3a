-- Each type as payload and as key, with the values that are easy to get wrong.
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
create table every (
    id int, b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision,
    n numeric(12, 3), nw numeric(38, 10), d date, ts timestamp, tz timestamptz, t text, v varchar(50), c char(8));
insert into every
    select i, i % 2 = 0, i % 40 - 20, i % 37 - 18, (i % 41 - 20)::bigint * 3000000000, (i % 23 - 11) / 4.0, (i % 29 - 14) / 8.0,
           (i % 31 - 15) / 8.0, (i % 43 - 21) * 12345678901234567.0123456789, date '2000-01-01' + (i % 47 - 20) * 100,
           timestamp '2000-01-01' + (i % 53 - 20) * interval '1000 hours 1 microsecond',
           timestamptz '1999-12-31 23:00+00' + (i % 59 - 20) * interval '10 days', repeat('ä€', i % 13), 'v' || i % 17, 'c' || i % 19
      from generate_series(1, 300) i;
-- the ends of each type, infinities, NaN, the two zeros, blanks
insert into every values
    (1001, true, 32767, 2147483647, 9223372036854775807, 'Infinity', 'Infinity', 999999999.999, 'NaN', 'infinity', 'infinity', 'infinity', '', '', ''),
    (1002, false, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', -999999999.999, 9999999999999999999999999999.9999999999, '-infinity', '-infinity', '-infinity', ' ', ' ', ' '),
    (1003, null, 0, 0, 0, 'NaN', 'NaN', 'NaN', -9999999999999999999999999999.9999999999, '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 00:00+00 BC', E'a\nb', 'a ', 'a '),
    (1004, true, 0, 0, 0, '-0', '-0', 0, 0, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', 'a', 'a', 'a'),
    (1005, false, 0, 0, 0, '0', '0', 0.001, 0.0000000001, '1999-12-31', '1999-12-31 23:59:59.999999', '2000-01-01 00:00+00', 'a ', 'a', 'a'),
    (1006, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    (1007, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
-- inf - inf is a NaN with its sign set on x86: another bit pattern than 'NaN'
insert into every (id, f4, f8) select 1008, 'Infinity'::real - x::real, 'Infinity'::float8 - x from (values ('Infinity'::float8)) z (x);
create table peer as select id, id % 5 as k from every;
analyze every, peer;

-- as payload: everything in, everything out
select * from compare($$ select e.* from every e join peer p on e.id = p.id $$);
select * from compare($$ select p.k, e.* from peer p join every e on e.id = p.id where p.k > 1 $$);
set joinscan.enabled = on;
select e.* from every e join peer p on e.id = p.id where e.id > 1000 order by e.id;
-- as key
select * from compare($$ select x.id, y.id from every x join every y on x.b = y.b where x.id < 20 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i2 = y.i2 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i4 = y.i4 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i8 = y.i8 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.f4 = y.f4 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.f8 = y.f8 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.n = y.n $$);
select * from compare($$ select x.id, y.id from every x join every y on x.nw = y.nw $$);
select * from compare($$ select x.id, y.id from every x join every y on x.d = y.d $$);
select * from compare($$ select x.id, y.id from every x join every y on x.ts = y.ts $$);
select * from compare($$ select x.id, y.id from every x join every y on x.tz = y.tz $$);
select * from compare($$ select x.id, y.id from every x join every y on x.t = y.t $$);
select * from compare($$ select x.id, y.id from every x join every y on x.v = y.v $$);
select * from compare($$ select x.id, y.id from every x join every y on x.c = y.c $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i4 = y.i4 and x.t = y.t and x.c = y.c $$);
-- the two zeros meet, and so do all NaNs; each comes out as it went in
select x.id, x.f8 as x, y.f8 as y from every x join every y on x.f8 = y.f8 where x.id in (1003, 1004, 1005, 1008) and y.id > 1000 order by 1, 2, y.id;
-- keys of two types
select * from compare($$ select x.id, y.id from every x join every y on x.i2 = y.i4 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i4 = y.i8 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.i2 = y.i8 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.f4 = y.f8 $$);
select * from compare($$ select x.id, y.id from every x join every y on x.t = y.v $$);
-- one value, two scales: 1.5 = 1.500
create table scaled (id int, n numeric(20, 1), c char(3));
insert into scaled select i, (i - 30) / 10.0, 'c' || i % 19 from generate_series(1, 60) i;
insert into scaled values (100, 'NaN', 'a'), (101, null, '');
analyze scaled;
select * from compare($$ select x.id, s.id, x.n, s.n from every x join scaled s on x.n = s.n $$);
select * from compare($$ select x.id, s.id, x.c, s.c from every x join scaled s on x.c = s.c $$);

-- values of more than a page: short and long headers, compressed, out of line, both
create table long (id int primary key, plain text, packed text, far text);
alter table long alter plain set storage plain, alter packed set storage main, alter far set storage external;
insert into long
    select i, repeat('p', i % 200), repeat('packed ' || i, 500), (select string_agg(md5(i || '/' || j), '') from generate_series(1, 100 + i % 7) j)
      from generate_series(1, 120) i;
insert into long values (1001, null, null, null), (1002, '', '', '');
analyze long;
select sum((pg_column_size(packed) < length(packed))::int) > 100 as compressed, max(pg_relation_size(reltoastrelid)) > 100000 as out_of_line
  from long, pg_class where relname = 'long';
select * from compare($$ select l.* from long l join peer p on l.id = p.id $$);
select * from compare($$ select a.id, b.far from long a join long b on a.far = b.far $$);
select * from compare($$ select a.id, b.packed from long a join long b on a.packed = b.packed $$);

-- dropped columns, and columns that came later, with a default and without
create table grown (gone1 int, id int not null, gone2 text, note text);
insert into grown select i, i, 'gone ' || i, 'note ' || i from generate_series(1, 100) i;
alter table grown drop column gone1, drop column gone2;
alter table grown add column later int default 42, add column text_later text default 'ärger', add column none_later numeric(5, 2),
    add column wide_later varchar(2000) default repeat('w', 1500);
insert into grown select i, 'new ' || i, i, 'text ' || i, i / 4.0, 'w' from generate_series(101, 150) i;
analyze grown;
select * from compare($$ select g.* from grown g join peer p on g.id = p.id $$);
select * from compare($$ select g.id, p.k from grown g join peer p on g.later = p.id $$);
set joinscan.enabled = on;
select g.id, g.note, g.later, g.text_later, g.none_later, length(g.wide_later) from grown g join peer p on g.id = p.id where g.id in (1, 100, 101) order by 1;
-- more columns than a byte of NULL bits, all NULL in turn
create table sparse (id int, c1 int, c2 text, c3 int, c4 bigint, c5 smallint, c6 text, c7 bool, c8 int, c9 text, c10 date, c11 float4);
insert into sparse
    select i, case when i & 1 > 0 then i end, case when i & 2 > 0 then 'two' end, case when i & 4 > 0 then i end,
           case when i & 8 > 0 then i end, case when i & 16 > 0 then i end, case when i & 32 > 0 then 'six' end,
           case when i & 64 > 0 then true end, case when i & 128 > 0 then i end, case when i & 256 > 0 then 'nine' end,
           case when i & 512 > 0 then date '2020-02-29' end, case when i & 1024 > 0 then 0.5 end
      from generate_series(0, 2047) i;
analyze sparse;
select * from compare($$ select s.* from sparse s join peer p on s.id = p.id $$);
select * from compare($$ select s.c11, s.c9, s.c2 from sparse s join sparse t on s.id = t.id $$);
