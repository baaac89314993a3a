select l_orderkey, o_orderdate, l_extendedprice
  from customer
  join orders on c_custkey = o_custkey
  join lineitem on l_orderkey = o_orderkey
 where c_mktsegment = 'BUILDING'
   and o_orderdate < date '1995-03-15'
   and l_shipdate > date '1995-03-15'
