select count(*)
  from lineitem
  join orders on l_orderkey = o_orderkey
