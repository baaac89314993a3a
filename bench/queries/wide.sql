select o_orderkey, o_orderdate, o_orderpriority, o_comment, c_name, c_address, c_phone, c_comment
  from orders
  join customer on c_custkey = o_custkey
 where o_orderdate < date '1993-07-01'
