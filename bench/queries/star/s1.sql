select year, sum(price * quantity)
  from sales
  join dates using (date_key)
 group by year
 order by year
