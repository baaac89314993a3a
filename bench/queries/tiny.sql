select n_name, r_name
  from nation
  join region on n_regionkey = r_regionkey
