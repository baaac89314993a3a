select month, count(*), count(customer_name), sum(quantity)
  from sales
  join dates using (date_key)
  left join customers on customers.customer_key = sales.customer_key and segment <> 'public'
 group by month
 order by month
