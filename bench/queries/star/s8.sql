select category, count(*), sum(list_price)
  from products
 where not exists (
    select *
      from sales
     where sales.product_key = products.product_key
       and quantity = 10
       and discount = 0.09)
 group by category
 order by category
