select customers.country, count(*)
  from customers
 where exists (
    select *
      from sales
      join dates using (date_key)
     where sales.customer_key = customers.customer_key
       and holiday)
 group by customers.country
 order by customers.country
