-- Inner joins of two to six tables, by the leader alone and with workers.
select * from compare($$
    select p.id, b.id, b.segment, p.total from purchase p join buyer b on p.buyer = b.id $$);
-- the rows themselves, in both directions
set joinscan.enabled = off;
select n.name, r.name as region from nation n join region r on n.region = r.id where n.id < 6 order by n.id;
set joinscan.enabled = on;
select n.name, r.name as region from nation n join region r on n.region = r.id where n.id < 6 order by n.id;
reset joinscan.enabled;
-- three, with filters on each
select * from compare($$
    select l.purchase, p.placed, l.price
      from buyer b join purchase p on b.id = p.buyer join line l on l.purchase = p.id
     where b.segment = 'BUILDING' and p.placed < date '2020-09-01' and l.shipped > timestamp '2020-06-01' $$);
-- four
select * from compare($$
    select n.name, b.id, p.id, l.pos
      from nation n join buyer b on b.nation = n.id join purchase p on p.buyer = b.id join line l on l.purchase = p.id $$);
-- five, a bushy join among them
select * from compare($$
    select x.name, y.id, y.pos
      from (select b.id, n.name from buyer b join nation n on b.nation = n.id) x
      join (select p.id, p.buyer, l.pos, d.price from purchase p join line l on l.purchase = p.id
              join product d on d.id = l.product) y on x.id = y.buyer $$);
-- six
select * from compare($$
    select r.name, n.name, b.segment, p.note, l.quantity, d.name as product
      from region r join nation n on n.region = r.id join buyer b on b.nation = n.id
      join purchase p on p.buyer = b.id join line l on l.purchase = p.id join product d on l.product = d.id
     where r.name <> 'region 3' $$);
-- the old way to write it
select * from compare($$
    select p.id, l.pos from purchase p, line l where p.id = l.purchase and p.total > 1000 $$);
-- two keys, one of them from a second table
select * from compare($$
    select l.purchase, l.pos from line l join line m on l.purchase = m.purchase and l.pos = m.pos $$);
select * from compare($$
    select b.id, p.id, n.id from buyer b join purchase p on b.id = p.buyer
      join nation n on n.id = b.nation and n.id = p.buyer $$);
-- more conditions than keys
select * from compare($$
    select p.id, l.pos from purchase p join line l on p.id = l.purchase and l.price > p.total $$);
select * from compare($$
    select p.id, l.pos from purchase p join line l on p.id = l.purchase and (l.price > p.total or p.note is null) $$);
-- a table with itself
select * from compare($$
    select a.id, b.id from buyer a join buyer b on a.nation = b.nation where a.id < 40 and b.segment = a.segment $$);
-- a key that is NULL on either side joins nothing
select * from compare($$
    select d.id, l.purchase from product d join line l on d.id = l.product where l.quantity = 7 $$);
-- nothing on the build side, nothing on the probe side, nothing at all
select * from compare($$ select p.id from purchase p join buyer b on p.buyer = b.id where b.id < 0 $$);
select * from compare($$ select p.id from purchase p join buyer b on p.buyer = b.id where p.id < 0 $$);
select * from compare($$ select p.id from purchase p join buyer b on p.buyer = b.id where p.id < 0 and b.id < 0 $$);
create table nothing (id int);
select * from compare($$ select b.id from buyer b join nothing x on b.id = x.id $$);
-- many matches for each row: more rows come out than go in
select * from compare($$ select l.purchase, m.purchase from line l join line m on l.product = m.product where l.pos = 1 and m.pos = 2 $$);
-- no column is asked for
select * from compare($$ select from purchase p join line l on p.id = l.purchase $$);
-- above the join PostgreSQL does what it always does
select * from compare($$ select p.placed, sum(l.price), min(l.shipped) from purchase p join line l on p.id = l.purchase group by p.placed $$);
select * from compare($$ select distinct b.segment, p.placed from buyer b join purchase p on b.id = p.buyer $$);
select * from compare($$ select b.id, rank() over (partition by b.nation order by p.id) from buyer b join purchase p on b.id = p.buyer $$);
select * from compare($$ select id from buyer union all select p.id from purchase p join buyer b on p.buyer = b.id $$);
-- below other joins
select * from compare($$ select p.id, x.id from purchase p join line l on p.id = l.purchase left join nation x on x.id = p.id $$);
select * from compare($$ select p.id from purchase p join line l on p.id = l.purchase where exists (select from nation x where x.id = p.buyer) $$);
-- more tables than PostgreSQL's join search takes in one go
set join_collapse_limit = 4;
select * from compare($$
    select r.name, d.name as product
      from region r join nation n on n.region = r.id join buyer b on b.nation = n.id
      join purchase p on p.buyer = b.id join line l on l.purchase = p.id join product d on l.product = d.id $$);
reset join_collapse_limit;
-- its genetic search
set geqo_threshold = 2;
select * from compare($$
    select r.name, d.name as product
      from region r join nation n on n.region = r.id join buyer b on b.nation = n.id
      join purchase p on p.buyer = b.id join line l on l.purchase = p.id join product d on l.product = d.id $$);
reset geqo_threshold;
-- no worker to be had: the same plan, the leader alone
set max_parallel_workers = 0;
select * from compare($$ select p.id, l.pos from purchase p join line l on p.id = l.purchase $$);
reset max_parallel_workers;
-- the leader only reads
set parallel_leader_participation = off;
select * from compare($$ select p.id, l.pos from purchase p join line l on p.id = l.purchase $$);
reset parallel_leader_participation;
