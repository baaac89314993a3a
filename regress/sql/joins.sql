-- Every kind of join, by keys, by other conditions and by none; with conditions that PostgreSQL evaluates; in trees.
create function odd(int) returns boolean language plpgsql immutable parallel safe as $$ begin return $1 % 2 = 1; end $$;
create table l (id int, k int, n numeric, t text);
create table r (id int, k int, n numeric(12,3), t varchar(20));
insert into l select i, nullif(i % 40, 7), case when i % 50 = 0 then 'NaN' else i % 30 + 0.50 end, 'k' || i % 25 from generate_series(1, 400) i;
insert into r select i, nullif(i % 60, 7), i % 45 + 0.5, case when i % 11 > 0 then 'k' || i % 70 end from generate_series(1, 500) i;
analyze l, r;
-- keys
select * from compare($$ select l.id, r.id from l join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k) $$);
select * from compare($$ select l.id from l where l.k in (select k from r) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k) $$);
select * from compare($$ select l.id from l left join r on l.k = r.k where r.id is null $$);
select * from compare($$ select l.id from l where l.k not in (select k from r where k is not null) $$);
-- of several columns, of other types, of expressions
select * from compare($$ select l.id, r.id from l join r on l.k = r.k and l.t = r.t $$);
select * from compare($$ select l.id, r.id from l full join r on l.n = r.n $$);
select * from compare($$ select l.id, r.id from l left join r on l.id = r.n $$);
select * from compare($$ select l.id, r.id from l join r on l.k / 2 = r.k % 20 $$);
select * from compare($$ select l.id, r.id from l left join r on lower(l.t) = upper(r.t) $$);
-- IS NOT DISTINCT FROM is no key
select * from compare($$ select l.id, r.id from l join r on l.k is not distinct from r.k $$);
-- further conditions, on either side and on both
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id < r.id $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id > 200 $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k and l.id < r.id and r.id % 3 = 0 $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k and l.id < r.id $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k and l.id < r.id and l.n < r.n) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k and l.id < r.id) $$);
-- conditions above the join
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k where coalesce(r.id, 0) < 100 $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k where l.id is distinct from r.id $$);
-- no keys
select * from compare($$ select l.id, r.id from l cross join r $$);
select * from compare($$ select l.id, r.id from l join r on l.id < r.k $$);
select * from compare($$ select l.id, r.id from l left join r on l.id < r.k - 40 $$);
select * from compare($$ select l.id, r.id from l right join r on l.id < r.k - 40 $$);
select * from compare($$ select l.id from l where exists (select from r where l.id < r.k - 40) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.id < r.k - 40) $$);
select * from compare_outcome($$ select l.id, r.id from l full join r on l.id < r.k $$);
-- conditions that PostgreSQL evaluates
select * from compare($$ select l.id, r.id from l join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l left join r on l.k = r.k and l.id < r.id and odd(l.id * r.id) and l.n < r.n $$);
select * from compare($$ select l.id, r.id from l right join r on l.k = r.k and odd(l.id / 2 + r.id) $$);
select * from compare($$ select l.id from l where exists (select from r where l.k = r.k and odd(l.id + r.id)) $$);
select * from compare($$ select l.id from l where not exists (select from r where l.k = r.k and odd(l.id + r.id)) $$);
select * from compare($$ select l.id, r.id from l full join r on l.k = r.k and odd(l.id + r.id) $$);
select * from compare($$ select l.id, r.id from l join r on odd(l.id * r.id) $$);
-- one probe row with more candidates than a batch has rows
create table wide_run as select i from generate_series(1, 20000) i;
analyze wide_run;
select * from compare($$ select o.i, w.i from (values (1), (2), (3)) o (i) left join wide_run w on w.i % 2 = o.i % 2 and odd(w.i / 20000 + o.i) $$);
-- trees
select * from compare($$ select a.id, b.id, c.id from l a left join (r b join l c on b.id = c.id) on a.k = b.k and c.n < 20 $$);
select * from compare($$ select a.id, b.id, c.id from l a full join r b on a.id = b.id left join l c on coalesce(a.k, b.k) = c.id $$);
select * from compare($$ select a.id from l a where exists (select from r b where a.k = b.k and not exists (select from l c where c.id = b.id and c.k = a.k)) $$);
-- expressions of subqueries, which outer joins turn NULL
select * from compare($$ select l.id, s.x, s.y from l left join (select k, coalesce(t, 'none') x, n * 2 y from r) s on l.k = s.k $$);
select * from compare($$ select l.id, s.x from l left join (select a.k, a.n + b.n as x, 'both' as c from r a join r b on a.id = b.id + 1) s on l.k = s.k and s.c = 'both' where s.x is null or s.x > 30 $$);
select * from compare($$ select l.id, s.z from l left join (select k, coalesce(ctid::text, 'none') z from r) s on l.k = s.k $$);
-- clauses with subqueries: above the plan
select * from compare($$ select l.id, r.id from l join r on l.k = r.k where r.n > (select avg(n) from r s where s.k = l.k) $$);
select * from compare($$ select l.id, r.id from l join r on l.k = r.k left join r r2 on r2.id = l.id where r.n > (select avg(n) from r s where s.k = l.k) $$);
-- who may execute what a plan computes is asked before the first row
create role joiner;
grant usage on schema pgjs_test to joiner;
grant select on l, r to joiner;
revoke execute on function odd(int) from public;
set role joiner;
select * from compare_outcome($$ select l.id from l join r on l.k = r.k and odd(l.id + r.id) where l.id < 0 $$);
reset role;
drop owned by joiner;
drop role joiner;
