-- What random queries found (make fuzz).

-- A numeric's form in a plan is that of its declared precision in a scan, and any in PostgreSQL's own plans: of a
-- temporary table both occur, by workers or not, and a condition must be one in either form. No Decimal holds infinity.
create table priced (id int, price numeric(10), rate numeric(12, 2));
insert into priced select i, case when i % 5 > 0 then i % 40 end, i % 40 from generate_series(1, 200) i;
create temp table quoted as table priced;
analyze priced, quoted;
select * from compare($$ select p.id, q.id from priced p join priced q on coalesce(p.price, 'Infinity') = q.rate $$);
select * from compare($$ select p.id, q.id from priced p join priced q on coalesce(p.price, 1) = q.rate $$);
select * from compare($$ select p.id, q.id from quoted p join priced q on coalesce(p.price, 'Infinity') = q.rate $$);
select agrees($$ select p.id, q.id from quoted p left join priced q on coalesce(p.price, 'Infinity') = q.rate $$);
select agrees($$ select p.id, q.id from priced p full join quoted q on nullif(p.rate, 'Infinity') = q.price $$);
-- and so it is with an expression below an outer join
select * from compare($$ select p.id, q.id from priced p
    left join (select id, coalesce(rate, 0.00) as rate from priced) x on x.id = p.price::int
    join priced q on coalesce(x.rate, 'Infinity') = q.price $$);
select agrees($$ select p.id, q.id from priced p
    left join (select id, coalesce(rate, 0.00) as rate from priced) x on x.id = p.price::int
    left join priced q on coalesce(x.rate, 'Infinity') = q.price $$);

-- PostgreSQL refuses a FULL JOIN by nothing that could be hashed or merged.
select agrees($$ select * from priced p full join priced q on p.id is not distinct from q.id $$);
select agrees($$ select * from priced p full join priced q on p.id < q.id $$);
select * from compare_outcome($$ select * from priced p full join priced q on p.id = q.id and p.price < q.price $$);

-- A condition that follows from two equalities may take the column of a semi-join's inner side.
set join_collapse_limit = 1;
select agrees($$ select x.id, r.price from
    (select * from priced p where exists (select from priced q where q.id = p.price)) x join priced r on x.price = r.id $$);
select agrees($$ select x.id, r.price from
    (select * from priced p where p.price in (select q.rate from priced q)) x left join priced r on x.price = r.id $$);
reset join_collapse_limit;
select * from compare($$ select x.id, r.price from
    (select * from priced p where exists (select from priced q where q.id = p.id)) x join priced r on x.id = r.id $$);

-- What the subqueries of a condition cost that waits till the end counts: here for each of 40,000 rows.
create function costs(query text) returns float8 language plpgsql as $$
declare
    line text;
begin
    execute 'explain ' || query into line;
    return substring(line from '\.\.([0-9.]+) ');
end $$;
set joinscan.min_cost = 1;
select costs($$ select p.id, q.id from priced p cross join priced q
    where p.price > (select count(*) from priced r where r.id = p.id and r.price < q.id) $$) > 40000;
reset joinscan.min_cost;

-- A plan with an expression of PostgreSQL's, made anew for each value of a parameter.
select agrees($$ select p.id, (select count(*) from quoted q join priced r on q.id = r.id and q.price + r.rate > 3 + p.id where md5(r.id::text) > md5(p.id::text)) from priced p $$);

-- A change of an inherited table whose rows a semi-join finds: its joins carry row identities, which are columns of no table.
create table elder (id int, k int);
create table younger () inherits (elder);
insert into elder select i, i % 5 from generate_series(1, 20) i;
insert into younger select i, i % 7 from generate_series(1, 20) i;
create table chosen as select i as k from generate_series(1, 3) i;
update elder set k = k + 100 where k in (select k from chosen);
delete from elder where exists (select from chosen c cross join (select 1 as one from chosen limit 1) s where c.k + 100 = elder.k + s.one - 1);
select tableoid::regclass, count(*), sum(k) from elder group by 1 order by 1;
