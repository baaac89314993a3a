select c_custkey, count(o_orderkey), sum(o_totalprice), max(o_orderdate)
  from customer
  left join orders on o_custkey = c_custkey
 group by c_custkey
having count(o_orderkey) > 30
