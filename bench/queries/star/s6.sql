select sale_key, day, store_name, product_name, customer_name, price
  from sales
  join dates using (date_key)
  join stores using (store_key)
  join products using (product_key)
  join customers using (customer_key)
 where day between date '2021-03-01' and date '2021-03-14'
   and category = 'Category 3'
   and stores.country in ('FR', 'NL')
