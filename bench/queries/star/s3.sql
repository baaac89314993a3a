select year, region, count(*), sum(price)
  from sales
  join dates using (date_key)
  join stores using (store_key)
 where stores.country = 'DE'
   and year between 2020 and 2022
 group by year, region
 order by year, region
