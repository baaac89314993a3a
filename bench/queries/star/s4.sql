select segment, category, count(*), avg(quantity)
  from sales
  join customers using (customer_key)
  join products using (product_key)
 group by segment, category
 order by segment, category
