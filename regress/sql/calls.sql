-- Expressions that PostgreSQL evaluates within a plan, over batches, in the leader and in workers.
create schema pgjs_calls;
set search_path = pgjs_calls, pgjs_test, public;
create function plus_one(i int) returns int language plpgsql immutable parallel safe as $$
begin
    if i = 777 then
        raise exception 'not %', i using errcode = 'P0777', detail = 'a detail', hint = 'a hint';
    end if;
    return i + 1;
end $$;
create function nested(i int) returns bigint language plpgsql stable parallel safe as $$
begin
    -- a JoinScan itself, now and then
    return case when i % 100 = 0
        then (select count(*) from nation n join region r on n.region = r.id where n.id <= i % 25) else i % 11 end;
end $$;
create function inlined(i int) returns int language sql immutable parallel safe as $$ select i * 3 + 1 $$;
create function not_inlined(i int) returns bigint language sql stable parallel safe as
    $$ select count(*) from region where id < i % 7 having true limit 1 $$;
create function depth(i int) returns int language plpgsql immutable parallel safe as $$
begin
    return case when i <= 0 then 0 else 1 + depth(i - 1) end;
end $$;
create function only_given(i int) returns int language plpgsql strict immutable parallel safe as
    $$ begin return i; end $$;
create function restricted(i int) returns int language plpgsql immutable parallel restricted as
    $$ begin return i; end $$;
create function unsafe(i int) returns int language plpgsql immutable parallel unsafe as $$ begin return i; end $$;
create function volatile(i int) returns int language plpgsql volatile parallel safe as $$ begin return i; end $$;
create type pair as (x int, y text);
create function to_pair(i int) returns pair language plpgsql immutable parallel safe as
    $$ begin return row(i % 7, 'p' || i % 3)::pair; end $$;
create function to_record(i int) returns record language plpgsql immutable parallel safe as
    $$ begin return row(i % 7, 'p' || i % 3, 1.5); end $$;
create function to_array(i int) returns int[] language plpgsql immutable parallel safe as $$
declare
    a int[] := '{}';
begin
    for k in 1 .. i % 4 loop
        a[k] := k * i;
    end loop;
    return a;
end $$;
create domain positive as int check (value > 0);
create domain short as text collate "C" not null check (length(value) < 9);
create type mood as enum ('sad', 'ok', 'happy');
alter type mood add value 'meh' before 'ok';
create table thing as
    select i id, (array['sad', 'meh', 'ok', 'happy'])[i % 4 + 1]::mood mood, row(i % 5, 't' || i % 4)::pair pair,
           format('{"a":%s,"b":["x",%s]}', i % 5, i % 3)::jsonb doc, int4range(i % 10, i % 10 + 5) span,
           array[i % 3, i % 4] list, timestamptz '2020-01-01' + i * interval '7 hours' moment,
           ('10.0.0.' || i % 50)::inet host, case when i % 6 > 0 then i % 13 end maybe, (i % 9)::money price,
           (array['abc', 'ABC', 'Abc', 'def', 'DEF'])[i % 5 + 1] word, interval '1 hour' * (i % 30) length
      from generate_series(1, 1500) i;
create table thing2 as select * from thing where id % 7 = 0;
analyze thing, thing2;

-- ---- functions ----
select * from compare('select b.id, p.id from buyer b join purchase p on p.buyer = b.id where plus_one(p.id::int + 1000) > b.id');
select * from compare_outcome('select b.id from buyer b join purchase p on p.buyer = b.id where plus_one(p.id::int) > 0');
select * from compare('select b.id, p.id from buyer b join purchase p on p.buyer = b.id where nested(b.id) < 5');
select * from compare('select b.id, p.id from buyer b join purchase p on p.buyer = b.id and inlined(b.id) < p.id and not_inlined(b.id) < 3');
select * from compare('select b.id, p.id from buyer b join purchase p on depth(b.id % 9) = p.id % 50 and p.id < 60 and b.id < 60');
select * from compare('select b.id, p.note from buyer b left join purchase p on b.id = p.buyer where only_given(p.buyer) is null');
select * from compare('select b.id from buyer b join purchase p on b.id = p.buyer where restricted(b.id) = restricted(p.buyer)');
select * from compare('select b.id from buyer b join purchase p on b.id = p.buyer where unsafe(b.id) = unsafe(p.buyer)');
select * from compare('select b.id from buyer b join purchase p on b.id = p.buyer where volatile(b.id) = volatile(p.buyer)');
-- every detail of an error is there, from the leader alone
set max_parallel_workers_per_gather = 0;
do $$
declare
    code text; message text; detail text; hint text; context text;
begin
    perform count(*) from buyer b join purchase p on p.buyer = b.id where plus_one(p.id::int) > b.id;
exception when others then
    get stacked diagnostics code = returned_sqlstate, message = message_text, detail = pg_exception_detail,
        hint = pg_exception_hint, context = pg_exception_context;
    raise notice '% % % %', code, message, detail, hint;
    raise notice '%', split_part(context, E'\n', 1);
end $$;
reset max_parallel_workers_per_gather;
-- a sequence moves once for each joined row
create sequence joined;
select count(*) from buyer b join purchase p on p.buyer = b.id where nextval('joined') + p.id > -b.id;
select last_value from joined;

-- ---- rows, records, arrays ----
select * from compare('select b.id, p.id from buyer b join purchase p on to_pair(b.id) = to_pair(p.id::int) and p.id < 100 and b.id < 100');
select * from compare('select b.id, p.id from buyer b join purchase p on to_record(b.id) = to_record(p.id::int) and p.id < 100 and b.id < 100');
select * from compare('select b.id, p.id from buyer b join purchase p on to_record(b.id) = (select to_record(4)) and p.id = b.id');
select * from compare('select a.id, to_array(b.id) from buyer a join buyer b on to_array(a.id) = to_array(b.id) and a.id < 99 and b.id < 99');
select * from compare('select b.id from buyer b join buyer c on b = c');
select * from compare('select b, c from buyer b join buyer c on row(b.*) = row(c.*)');
select * from compare('select n, r from nation n left join region r on n.region = r.id and r.id < 3');
select * from compare('select b.id, p.x from buyer b left join (select buyer, id, coalesce(only_given(buyer), 7) x from purchase) p on b.id = p.buyer and p.id % 10 = 1');
select * from compare('select b.id, p.x from buyer b left join (select buyer, id, to_array(id::int) x from purchase) p on b.id = p.buyer and p.id % 10 = 1');
-- a row or a system column in an expression that is computed below an outer join
select * from compare('select b.id, p.x from buyer b left join (select buyer, case when id > 5 then purchase end x from purchase) p on b.id = p.buyer');
select * from compare('select b.id, p.x from buyer b left join (select buyer, case when id > 5 then ctid end x from purchase) p on b.id = p.buyer');

-- ---- types ----
select * from compare('select a.id, b.id from thing a join thing2 b on a.mood < b.mood and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on a.pair = b.pair and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on (a.pair, a.mood) < (b.pair, ''happy'') and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on a.doc @> b.doc and a.doc ->> ''a'' = ''3'' and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on a.span && b.span and a.span @> b.id and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on a.list && b.list and b.id = any (a.list || 7) and a.id < 50');
select * from compare('select a.id, b.id from thing a join thing2 b on a.host = b.host and a.price = b.price and a.length = b.length');
select * from compare('select a.id, b.id from thing a join thing2 b on a.id = b.id where greatest(a.span, b.span) = a.span and nullif(a.maybe, b.id) is null');
select * from compare('select a.id from thing a join thing2 b on a.id = b.id where a.price in (1::money, 2::money, 3::money, 4::money, 5::money, 6::money, 7::money, 8::money, 9::money, 10::money)');
select * from compare('select a.id from thing a join thing2 b on a.id = b.id where a.moment::date < current_date and current_user::text <> a.word and now() > b.moment');
select * from compare('select a.id, b.id from thing a join thing2 b on a.id = b.id and pg_typeof(a.span)::text = ''int4range''');
select * from compare('select a.id, b.id from thing a join thing2 b on a.id % 7 + 1 = (b.id % 9 + 1)::positive and a.id < 50');
select * from compare_outcome('select a.id from thing a join thing2 b on a.id = b.id and (a.id % 10)::positive < b.id');
select * from compare_outcome('select a.id from thing a join thing2 b on a.id = b.id where nullif(a.word, ''ABC'')::short < ''x''');
select * from compare_outcome('select a.id from thing a join thing2 b on a.id = b.id where (left(a.word, 0) || ''x'')::int > 0');
-- times as text, by the session's settings, which workers have as well
set timezone = 'America/New_York';
set datestyle = 'German';
select * from compare('select a.id, a.moment::text from thing a join thing2 b on a.moment::text = b.moment::text');
select count(*) from thing a join thing2 b on a.id = b.id where a.moment::text like '%EST';
reset timezone;
reset datestyle;

-- ---- control ----
create function slow(i int) returns int language plpgsql immutable parallel safe as
    $$ begin perform pg_sleep(0.01); return i; end $$;
-- who is cancelled in the middle of a call, the leader or a worker, shows in the context
\set VERBOSITY terse
set statement_timeout = 200;
select count(*) from buyer b join purchase p on p.buyer = b.id where slow(p.id::int) > 0;
set max_parallel_workers_per_gather = 0;
select count(*) from buyer b join purchase p on p.buyer = b.id where slow(p.id::int) > 0;
reset statement_timeout;
\set VERBOSITY default
-- errors that are caught, again and again
do $$
declare
    caught int := 0;
begin
    for i in 1 .. 50 loop
        begin
            perform count(*) from nation n join region r on r.id = n.region where plus_one(n.id + 777 * (i % 2)) > 0;
        exception when sqlstate 'P0777' then
            caught := caught + 1;
        end;
    end loop;
    raise notice '% caught', caught;
end $$;
-- a rescan with other parameters leaves nothing behind
create function context_bytes() returns bigint language sql volatile as
    $$ select sum(total_bytes) from pg_backend_memory_contexts $$;
select max(bytes) - min(bytes) < 500000 as steady
  from (select i, (select count(*) from nation n join region r on r.id = n.region where to_array(n.id) <> array[i]),
               case when i in (100, 2000) then context_bytes() end bytes
          from generate_series(1, 2000) i offset 0) q;
reset max_parallel_workers_per_gather;
-- a trigger whose query is a JoinScan, for the rows of one
create table journal (id int, n bigint);
create function count_joined() returns trigger language plpgsql as $$
begin
    new.n := (select count(*) from buyer b join nation n on n.id = b.nation where plus_one(b.id % 700) > new.id);
    return new;
end $$;
create trigger journal before insert on journal for each row execute function count_joined();
insert into journal select b.id from buyer b join nation n on n.id = b.nation where nested(b.id) < 2 and b.id < 100;
select count(*), sum(n) from journal;
-- cursors: in pieces, backward, after an error
begin;
declare c scroll cursor for
    select b.id, to_array(b.id) from buyer b join nation n on n.id = b.nation where plus_one(b.id % 700) < 9 order by b.id;
fetch 2 from c;
savepoint s;
select 1 / 0;
rollback to s;
fetch 2 from c;
fetch backward 2 from c;
fetch last from c;
commit;
