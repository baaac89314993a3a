select brand, sum(price * quantity * (1 - discount)) as revenue
  from sales
  join products using (product_key)
 where category = 'Category 7'
 group by brand
 order by revenue desc
 limit 20
