select c_nationkey, count(*), sum(c_acctbal)
  from customer
 where not exists (select * from orders where o_custkey = c_custkey)
 group by c_nationkey
