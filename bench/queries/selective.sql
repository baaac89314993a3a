select o_orderkey, o_orderdate, l_linenumber, l_quantity
  from orders
  join lineitem on l_orderkey = o_orderkey
 where o_totalprice > 380000
   and l_quantity > 10
