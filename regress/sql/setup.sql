-- What the other scripts stand on: settings of this database, helpers, tables.
-- It is a database of pg_regress's own; every script connects anew and so gets the settings.
do $$
declare
    setting text;
begin
    foreach setting in array array[
        -- with the server's shared_preload_libraries or without
        'session_preload_libraries = pg_joinscan',
        -- JoinScan wherever it is possible
        'joinscan.min_cost = 0',
        -- and workers for tables as small as these
        'max_parallel_workers_per_gather = 2',
        'parallel_setup_cost = 0',
        'parallel_tuple_cost = 0',
        'min_parallel_table_scan_size = 0',
        -- shuffles, where small tables would be broadcast
        'cpu_tuple_cost = 0.002',
        'search_path = pgjs_test, public']
    loop
        execute format('alter database %I set ', current_database()) || setting;
    end loop;
end $$;
create extension pg_joinscan;
create schema pgjs_test;
set search_path = pgjs_test, public;

-- ---- helpers ----

-- Does JoinScan stand in the plan that the query gets now?
create function plan_has_joinscan(query text) returns boolean language plpgsql as $$
declare
    line text;
begin
    for line in execute 'explain (costs off) ' || query loop
        if line like '%JoinScan%' then
            return true;
        end if;
    end loop;
    return false;
end $$;

-- One row that stands for all rows of the query, in whatever order: every column, as text. EXECUTE … INTO runs to the
-- end, so this may use workers.
create function digest_of(query text) returns text language sql as $$
    select format('select count(*), sum(hashtextextended(q::text, 0)) from (%s) q', query)
$$;

-- The rows without JoinScan, by the leader alone and with two workers: the same? And was it JoinScan that gave them?
create function compare(query text, out rows bigint, out leader text, out workers text) language plpgsql as $$
declare
    digest text := digest_of(query);
    off_sum numeric;
    on_rows bigint;
    on_sum numeric;
    verdict text;
begin
    perform set_config('joinscan.enabled', 'off', true);
    perform set_config('max_parallel_workers_per_gather', '0', true);
    execute digest into rows, off_sum;
    perform set_config('joinscan.enabled', 'on', true);
    for n in 0 .. 2 by 2 loop
        perform set_config('max_parallel_workers_per_gather', n::text, true);
        execute digest into on_rows, on_sum;
        verdict := case
            when on_rows <> rows then format('DIFFERENT: %s rows', on_rows)
            when on_sum is distinct from off_sum then 'DIFFERENT values'
            else 'same' end
            || case when plan_has_joinscan(digest) then ', by JoinScan' else ', without JoinScan' end;
        if n = 0 then leader := verdict; else workers := verdict; end if;
    end loop;
end $$;

-- What a query comes to: its rows, or the error with its SQLSTATE.
create function outcome(query text) returns text language plpgsql as $$
declare
    n bigint;
    s numeric;
begin
    execute digest_of(query) into n, s;
    return n || ' rows';
exception when others then
    return sqlstate || ': ' || sqlerrm;
end $$;

create function compare_outcome(query text, out off text, out leader text, out workers text) language plpgsql as $$
declare
    verdict text;
begin
    perform set_config('joinscan.enabled', 'off', true);
    perform set_config('max_parallel_workers_per_gather', '0', true);
    off := outcome(query);
    perform set_config('joinscan.enabled', 'on', true);
    for n in 0 .. 2 by 2 loop
        perform set_config('max_parallel_workers_per_gather', n::text, true);
        verdict := outcome(query);
        verdict := case when verdict = off then 'same' else 'DIFFERENT: ' || verdict end
            || case when plan_has_joinscan(digest_of(query)) then ', by JoinScan' else ', without JoinScan' end;
        if n = 0 then leader := verdict; else workers := verdict; end if;
    end loop;
end $$;

-- What a query comes to, when that is the same without JoinScan, with the leader alone, and with two workers: how many
-- rows, or the error. For queries that JoinScan may take or not.
create function agrees(query text) returns text language plpgsql as $$
declare
    digest text := digest_of(query);
    n bigint;
    s numeric;
    got text;
    expected text;
begin
    for i in 0 .. 2 loop
        perform set_config('joinscan.enabled', case when i = 0 then 'off' else 'on' end, true);
        perform set_config('max_parallel_workers_per_gather', case when i = 2 then '2' else '0' end, true);
        begin
            execute digest into n, s;
            got := format('%s rows, digest %s', n, s);
        exception when others then
            got := sqlstate || ': ' || sqlerrm;
        end;
        expected := coalesce(expected, got);
        if got <> expected then
            return format('DIFFERENT: %s; with JoinScan and %s workers: %s', expected, i * 2 - 2, got);
        end if;
    end loop;
    return split_part(expected, ', digest', 1);
end $$;

-- The same, of the rows in their order.
create function agrees_in_order(query text) returns text language sql as $$
    select agrees(format('select row_number() over (), q.* from (%s) q', query))
$$;

-- The same for a statement that is no query and so cannot stand in FROM, as EXECUTE and FETCH: its rows in any order.
create function rows_of(statement text, out rows bigint, out digest numeric) language plpgsql as $$
declare
    r record;
begin
    rows := 0;
    digest := 0;
    for r in execute statement loop
        rows := rows + 1;
        digest := digest + hashtextextended(r::text, 0);
    end loop;
end $$;

-- A prepared query with each list of arguments: off and on, with custom plans, generic ones, and PostgreSQL's choice.
create function prepared_agrees(types text, query text, variadic arguments text[]) returns text language plpgsql as $$
declare
    argument text;
    got text;
    expected text;
    sums text;
    expected_sums text;
    answer record;
begin
    foreach got in array array['off', 'on'] loop
        perform set_config('joinscan.enabled', got, true);
        for i in 0 .. 2 loop
            perform set_config('plan_cache_mode', (array['force_custom_plan', 'force_generic_plan', 'auto'])[i + 1], true);
            execute format('prepare pgjs_prepared %s as %s', types, query);
            got := '';
            sums := '';
            -- of its own accord PostgreSQL turns to generic plans after five executions
            for round in 0 .. i / 2 * (6 / cardinality(arguments)) loop
                got := '';
                sums := '';
                foreach argument in array arguments loop
                    begin
                        answer := rows_of(format('execute pgjs_prepared (%s)', argument));
                        got := got || ' ' || answer.rows;
                        sums := sums || ' ' || answer.digest;
                    exception when others then
                        got := got || ' ' || sqlstate;
                    end;
                end loop;
                expected := coalesce(expected, got);
                expected_sums := coalesce(expected_sums, sums);
                if got <> expected or sums <> expected_sums then
                    deallocate pgjs_prepared;
                    return format('DIFFERENT: %s; JoinScan %s, %s: %s', expected, current_setting('joinscan.enabled'),
                        current_setting('plan_cache_mode'), case when got = expected then 'other values' else got end);
                end if;
            end loop;
            deallocate pgjs_prepared;
        end loop;
    end loop;
    perform set_config('plan_cache_mode', 'auto', true);
    return 'rows:' || expected;
end $$;

-- ---- tables: a small shop ----

create table region (id int primary key, name text not null);
create table nation (id int primary key, region int not null, name varchar(20) not null);
create table buyer (id int primary key, nation int not null, segment char(10) not null, balance numeric(15, 2), since date);
create table product (id int primary key, name text not null, price numeric(10, 2) not null, weight float8);
create table purchase (id bigint primary key, buyer int, placed date not null, total numeric(15, 2) not null, note varchar(60));
create table line (
    purchase bigint not null, pos int not null, product int, quantity smallint not null,
    price numeric(15, 2) not null, discount numeric(4, 2) not null, shipped timestamp, flag char(1) not null);

insert into region select i, 'region ' || i from generate_series(0, 4) i;
insert into nation select i, i % 5, 'nation ' || i from generate_series(0, 24) i;
insert into buyer
    select i, i * 7 % 25, (array['BUILDING', 'MACHINERY', 'FURNITURE', 'HOUSEHOLD'])[i % 4 + 1],
           case when i % 11 > 0 then (i * 37 % 100000) / 100.0 - 200 end, date '2010-01-01' + i * 3 % 2000
      from generate_series(1, 1000) i;
insert into product select i, 'product ' || i, i * 13 % 997 / 10.0, i / 7.0 from generate_series(1, 200) i;
insert into purchase
    select i, case when i % 97 > 0 then i * 31 % 1200 + 1 end, date '2020-01-01' + i * 11 % 700,
           i * 173 % 500000 / 100.0, case when i % 5 > 0 then 'note ' || i % 50 end
      from generate_series(1, 8000) i;
insert into line
    select i / 3 + 1, i % 3, case when i % 53 > 0 then i * 17 % 220 + 1 end, i % 50 + 1, i * 91 % 1000000 / 100.0,
           i % 11 / 100.0, case when i % 29 > 0 then timestamp '2020-02-01' + i % 900 * interval '13 hours' end,
           substr('NRA', i % 3 + 1, 1)
      from generate_series(0, 23999) i;
create index on purchase (buyer);
create index on line (purchase);
analyze region, nation, buyer, product, purchase, line;
