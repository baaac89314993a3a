-- What a query sees of its own transaction and of others, and the ways in which its rows are taken: the same as without
-- JoinScan, whether it takes the query or not. What needs a second session is in regress/specs.
set joinscan.enabled = on;
create table account (id int primary key, owner int not null, amount numeric(12, 2) not null, note text);
create table owner (id int primary key, name text not null);
insert into owner select i, 'owner ' || i from generate_series(1, 50) i;
insert into account select i, i % 50 + 1, i * 1.25, case when i % 7 > 0 then 'note ' || i end from generate_series(1, 2000) i;
analyze account, owner;
\set accounts 'select a.id, a.amount, a.note, o.name from account a join owner o on a.owner = o.id'
select plan_has_joinscan(:'accounts') as taken;
-- after agrees() JoinScan is on, with two workers
create function total() returns text language plpgsql as $$
declare
    n bigint;
    s numeric;
begin
    select count(*), sum(a.amount) into n, s from account a join owner o on a.owner = o.id;
    return n || ', ' || s;
end $$;

-- ---- own changes ----
begin;
insert into account select i, i % 50 + 1, 1, 'own' from generate_series(3001, 3100) i;
select agrees(:'accounts'), total();
update account set amount = amount + 1 where id <= 500;
select agrees(:'accounts'), total();
delete from account where id % 10 = 0;
select agrees(:'accounts'), total();
update owner set name = name || '!' where id = 7;
select agrees(:'accounts' || ' where o.name like ''%!''');
-- changed twice in one transaction, and created and deleted in it
update account set amount = 0 where id = 3001;
update account set amount = 5 where id = 3001;
delete from account where id = 3002;
select agrees(:'accounts' || ' where a.id in (3001, 3002)'), total();
commit;
select agrees(:'accounts'), total();

-- ---- savepoints ----
begin;
delete from account where id <= 1000;
savepoint one;
insert into account select i, 1, 2, 'one' from generate_series(4001, 4010) i;
savepoint two;
update account set owner = 2 where note = 'one';
select agrees(:'accounts'), agrees(:'accounts' || ' where o.id = 2');
rollback to two;
select agrees(:'accounts'), agrees(:'accounts' || ' where o.id = 2');
release two;
update account set amount = 100 where note = 'one';
select agrees(:'accounts'), total();
rollback to one;
select agrees(:'accounts'), total();
rollback;
select agrees(:'accounts'), total();

-- ---- PL/pgSQL exceptions ----
create function undone(fail boolean) returns text language plpgsql as $$
declare
    inside text;
begin
    begin
        update account set amount = amount * 2;
        inside := total();
        if fail then
            perform a.id / (a.id - a.id) from account a join owner o on a.owner = o.id;
        end if;
    exception when division_by_zero then
        return format('inside %s, after %s', inside, total());
    end;
    return format('kept %s', total());
end $$;
begin;
set local joinscan.enabled = off;
select undone(true);
set local joinscan.enabled = on;
select undone(true);
select undone(false);
select undone(true);
rollback;
select total();
-- a function sees what its statement's transaction did before, and a volatile one what the statement does
create function so_far() returns bigint language sql volatile as $$
    select count(*) from account a join owner o on a.owner = o.id $$;
create function at_first() returns bigint language sql stable as $$
    select count(*) from account a join owner o on a.owner = o.id $$;
begin;
insert into account select i, 1, so_far() - at_first(), 'count' from generate_series(5001, 5003) i returning id, amount;
select agrees(:'accounts');
rollback;
-- triggers, too
create function on_insert() returns trigger language plpgsql as $$
begin
    new.note := (select count(*) from account a join owner o on a.owner = o.id where o.id = new.owner);
    return new;
end $$;
create trigger on_insert before insert on account for each row execute function on_insert();
begin;
insert into account select i, 9, 1 from generate_series(5001, 5003) i returning id, note;
rollback;
drop trigger on_insert on account;

-- ---- isolation levels, read only ----
begin isolation level repeatable read;
select agrees(:'accounts'), total();
insert into account values (6001, 1, 1, 'own');
select agrees(:'accounts'), total();
rollback;
begin isolation level serializable;
select agrees(:'accounts'), total();
delete from account where id = 1;
select agrees(:'accounts'), total();
rollback;
begin isolation level serializable, read only, deferrable;
select agrees(:'accounts'), total();
commit;
begin read only;
select agrees(:'accounts'), total();
\set VERBOSITY sqlstate
create table forbidden as select a.id from account a join owner o on a.owner = o.id;
\set VERBOSITY default
rollback;
-- the error of one query ends the transaction, not the session
begin;
\set SHOW_CONTEXT never
select count(*) from account a join owner o on a.owner = o.id where 1 / (a.id - 777) > 0;
\set SHOW_CONTEXT errors
select total();
rollback;
select total();

-- ---- cursors ----
-- Walks a scrollable cursor; the answer is the rows that it meets.
create function walk(query text, moves text[]) returns text language plpgsql as $$
declare
    r record;
    move text;
    way text := '';
begin
    execute 'declare walker scroll cursor for ' || query;
    foreach move in array moves loop
        way := way || ' |';
        for r in execute format('fetch %s from walker', move) loop
            way := way || ' ' || r;
        end loop;
    end loop;
    execute 'close walker';
    return way;
end $$;
create function walk_agrees(query text, variadic moves text[]) returns text language plpgsql as $$
declare
    off text;
    leader text;
begin
    set local joinscan.enabled = off;
    off := walk(query, moves);
    set local joinscan.enabled = on;
    leader := walk(query, moves);
    return case when off = leader then off else format('DIFFERENT: %s and %s', off, leader) end;
end $$;
select walk_agrees('select a.id, o.id from account a join owner o on a.owner = o.id where a.id < 12 order by 1',
    '3', 'backward 1', 'next', 'last', 'prior', 'first', 'absolute 4', 'relative -2', 'relative 0', 'absolute -1', 'all', 'backward 2', 'absolute 0', 'next');
select walk_agrees('select a.id from account a join owner o on a.owner = o.id where a.id < 0 order by 1', 'next', 'prior', 'last', 'all', 'backward all');
-- without an ORDER BY: back the way that it came
create function there_and_back(query text) returns boolean language plpgsql as $$
declare
    r record;
    forth text[];
    back text[];
begin
    execute 'declare walker scroll cursor for ' || query;
    for r in execute 'fetch all from walker' loop
        forth := forth || r::text;
    end loop;
    for r in execute 'fetch backward all from walker' loop
        back := r::text || back;
    end loop;
    execute 'close walker';
    return forth = back;
end $$;
select there_and_back(:'accounts'), there_and_back(:'accounts' || ' where a.id < 10');
-- a cursor sees the time when it was opened, whatever comes after
begin;
declare before_all cursor for select a.id, a.note from account a join owner o on a.owner = o.id where a.id between 101 and 104 order by 1;
update account set note = 'changed' where id between 101 and 104;
fetch 1 from before_all;
delete from account where id = 102;
fetch all from before_all;
declare after_all cursor for select a.id, a.note from account a join owner o on a.owner = o.id where a.id between 101 and 104 order by 1;
fetch all from after_all;
rollback;
-- savepoints and cursors
begin;
savepoint s;
declare in_savepoint cursor for select a.id from account a join owner o on a.owner = o.id order by 1;
fetch 2 from in_savepoint;
rollback to s;
\set VERBOSITY sqlstate
fetch 1 from in_savepoint;
\set VERBOSITY default
rollback;
begin;
declare outlasts cursor for select a.id from account a join owner o on a.owner = o.id order by 1;
fetch 2 from outlasts;
savepoint s;
fetch 2 from outlasts;
rollback to s;
fetch 2 from outlasts;
commit;
-- WITH HOLD: taken whole at the commit, and it stays after the table has gone
create table passing as select i as id, i % 50 + 1 as owner from generate_series(1, 300) i;
analyze passing;
begin;
declare held scroll cursor with hold for select p.id, o.name from passing p join owner o on p.owner = o.id order by 1;
fetch 2 from held;
commit;
drop table passing;
fetch 2 from held;
fetch backward 1 from held;
fetch last from held;
move backward all in held;
fetch next from held;
close held;
-- held over an aborted transaction: gone
begin;
declare lost cursor with hold for select a.id from account a join owner o on a.owner = o.id;
rollback;
\set VERBOSITY sqlstate
fetch 1 from lost;
\set VERBOSITY default
-- several at once, in turns, and one that is never ended
begin;
declare first cursor for select a.id from account a join owner o on a.owner = o.id order by 1;
declare second cursor for select a.id from account a join owner o on a.owner = o.id order by 1 desc;
fetch 2 from first;
fetch 2 from second;
select total();
fetch 2 from first;
fetch 2 from second;
commit;
-- WHERE CURRENT OF
begin;
declare current cursor for select a.id from account a join owner o on a.owner = o.id where a.id = 201 for update of a;
fetch 1 from current;
update account set note = 'current' where current of current;
select id, note from account where id = 201;
rollback;

-- ---- rows that go elsewhere ----
copy (select a.id, a.amount, o.name from account a join owner o on a.owner = o.id where a.id < 6 order by a.id) to stdout;
copy (select count(*), sum(a.amount) from account a join owner o on a.owner = o.id) to stdout (format csv, header);
create function difference(one text, other text) returns bigint language plpgsql as $$
declare
    n bigint;
begin
    set local joinscan.enabled = off;
    execute format('select count(*) from ((table %1$I except all table %2$I) union all (table %2$I except all table %1$I)) x', one, other)
       into n;
    return n;
end $$;
set joinscan.enabled = off;
create table made_off as select a.id, a.amount, a.note, o.name from account a join owner o on a.owner = o.id;
select a.id, sum(a.amount) over (order by a.id), o.name into into_off from account a join owner o on a.owner = o.id;
create materialized view view_off as select o.name, count(*), sum(a.amount) from account a join owner o on a.owner = o.id group by 1;
set joinscan.enabled = on;
create table made_on as select a.id, a.amount, a.note, o.name from account a join owner o on a.owner = o.id;
select a.id, sum(a.amount) over (order by a.id), o.name into into_on from account a join owner o on a.owner = o.id;
create materialized view view_on as select o.name, count(*), sum(a.amount) from account a join owner o on a.owner = o.id group by 1;
select count(*), difference('made_off', 'made_on') from made_off;
select count(*), difference('into_off', 'into_on') from into_off;
select count(*), difference('view_off', 'view_on') from view_off;
select atttypid::regtype, atttypmod from pg_attribute where attrelid = 'made_on'::regclass and attnum > 0
except
select atttypid::regtype, atttypmod from pg_attribute where attrelid = 'made_off'::regclass and attnum > 0;
update account set amount = amount + 1 where id < 100;
set joinscan.enabled = off;
refresh materialized view view_off;
set joinscan.enabled = on;
refresh materialized view view_on;
select count(*), sum(sum), difference('view_off', 'view_on') from view_off;
create unique index on view_on (name);
delete from account where id between 200 and 240;
refresh materialized view concurrently view_on;
set joinscan.enabled = off;
refresh materialized view view_off;
set joinscan.enabled = on;
select count(*), sum(sum), difference('view_off', 'view_on') from view_off;
-- writes that read by a join, the written table too
create function written(statement text) returns text language plpgsql as $$
declare
    n bigint;
    answers text[];
    answer text;
begin
    for i in 0 .. 1 loop
        perform set_config('joinscan.enabled', (array['off', 'on'])[i + 1], true);
        begin
            execute statement;
            get diagnostics n = row_count;
            set local joinscan.enabled = off;
            select format('%s rows, %s', n, sum(hashtextextended(made_on::text, 0))) into answer from made_on;
            raise exception using errcode = 'PJ000', message = answer; -- undo it
        exception when others then
            answers := answers || case when sqlstate = 'PJ000' then sqlerrm else sqlstate end;
        end;
    end loop;
    return case when answers[1] = answers[2] then split_part(answers[1], ',', 1) else 'DIFFERENT: ' || answers::text end;
end $$;
select written('insert into made_on select a.id, a.amount, a.note, o.name from account a join owner o on a.owner = o.id');
select written('insert into made_on select m.id + 10000, m.amount, m.note, o.name from made_on m join account a on m.id = a.id join owner o on a.owner = o.id');
select written('update made_on set amount = a.amount * 2, note = o.name from account a join owner o on a.owner = o.id where made_on.id = a.id');
select written('delete from made_on using account a join owner o on a.owner = o.id where made_on.id = a.id and o.id < 10');
select written('delete from made_on where id in (select a.id from account a join owner o on a.owner = o.id where o.id > 40)');
select written('with w as (delete from made_on where id < 50 returning id) insert into made_on select a.id, 0, null, o.name
    from w join account a on w.id = a.id join owner o on a.owner = o.id');
select written('merge into made_on m using (select a.id, o.name from account a join owner o on a.owner = o.id) s on m.id = s.id and m.id > 1000
    when matched then update set note = s.name when not matched then insert values (s.id, 0, ''new'', s.name)');
select written('insert into made_on select a.id, 1 / (a.id - 77), a.note, o.name from account a join owner o on a.owner = o.id');
create unique index on made_on (id);
select written('insert into made_on select a.id, -1, a.note, o.name from account a join owner o on a.owner = o.id
    on conflict (id) do update set amount = excluded.amount where excluded.id < 300');
select written('insert into made_on select a.id, -1, a.note, o.name from account a join owner o on a.owner = o.id');
-- PL/pgSQL's loops: whole, left early, nested, over a cursor variable
create function loops() returns text language plpgsql as $$
declare
    c cursor (below int) for select a.id, o.name from account a join owner o on a.owner = o.id where a.id < below order by a.id;
    r record;
    n bigint := 0;
    early bigint := 0;
    inner_n bigint := 0;
    cursor_n bigint := 0;
begin
    for r in select a.id from account a join owner o on a.owner = o.id loop
        n := n + r.id;
    end loop;
    for r in execute 'select a.id from account a join owner o on a.owner = o.id where a.id < $1' using 900 loop
        early := early + 1;
        exit when early = 55;
    end loop;
    for r in select o.id from owner o join account a on a.owner = o.id where a.id < 20 order by 1 loop
        inner_n := inner_n + (select count(*) from account a join owner o on a.owner = o.id where o.id = r.id);
    end loop;
    open c(below := 50);
    loop
        fetch c into r;
        exit when not found;
        cursor_n := cursor_n + r.id;
        if r.id = 30 then
            move relative 3 from c;
        end if;
    end loop;
    close c;
    return format('%s %s %s %s', n, early, inner_n, cursor_n);
end $$;
select agrees('select loops()'), loops();
-- a procedure that commits within its loop
create procedure committing() language plpgsql as $$
declare
    r record;
    n int := 0;
begin
    for r in select a.id from account a join owner o on a.owner = o.id where a.id < 60 order by a.id loop
        n := n + 1;
        update account set note = 'seen' where id = r.id;
        if n % 20 = 0 then
            commit;
        end if;
    end loop;
end $$;
call committing();
select count(*) from account where note = 'seen';

-- ---- row locks ----
select agrees(:'accounts' || ' where a.id < 50 for update of a');
select agrees(:'accounts' || ' where a.id < 50 for share');
select agrees(:'accounts' || ' where a.id < 50 order by a.id limit 5 for update skip locked');
select workers_left();
