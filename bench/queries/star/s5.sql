select year, category, customers.country, sum(price * quantity * (1 - discount))
  from sales
  join dates using (date_key)
  join stores using (store_key)
  join products using (product_key)
  join customers using (customer_key)
 where stores.country = customers.country
   and segment = 'business'
 group by year, category, customers.country
 order by year, category, customers.country
