select n_name, count(*), sum(l_extendedprice)
  from customer
  join orders on c_custkey = o_custkey
  join lineitem on l_orderkey = o_orderkey
  join nation on c_nationkey = n_nationkey
 where l_returnflag = 'R'
   and o_orderdate >= date '1993-01-01'
   and o_orderdate < date '1994-01-01'
 group by n_name
