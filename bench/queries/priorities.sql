select o_orderpriority, sum(l_extendedprice)
  from lineitem
  join orders on l_orderkey = o_orderkey
 group by o_orderpriority
