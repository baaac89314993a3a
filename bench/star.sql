-- A star of one fact table and four dimensions: six million sales at :sf = 1. Every value comes from the row's number
-- by a hash, so that each load gives the same rows.
--
--   dates 2,557 · stores 500 · products 60,000 · customers 600,000 (the last two times the scale)
--
-- Products and stores are skewed (a row's place in the unit interval to the third and fourth power), one sale in six is
-- of no known customer (NULL), one in six of the others of customer 1, one in a hundred of no product of the list (NULL).
\set ON_ERROR_STOP on
select greatest(1000, (6000000 * :sf)::bigint) as sales,
       greatest(100, (60000 * :sf)::bigint) as products,
       greatest(100, (600000 * :sf)::bigint) as customers
\gset

-- A number in [0, 1) of a row and a column.
create function unit(row_number bigint, place bigint) returns float8 immutable parallel safe
    return (hashint8extended(row_number, place) & 1073741823) / 1073741824.0::float8;

create table dates (
    date_key integer not null, day date not null, year integer not null, month integer not null, weekday integer not null,
    holiday boolean not null
);
create table stores (store_key integer not null, store_name text not null, country char(2) not null, region text not null, area numeric(8, 1));
create table products (
    product_key integer not null, product_name text not null, brand char(10) not null, category text not null, list_price numeric(10, 2) not null
);
create table customers (
    customer_key integer not null, customer_name text not null, born date, segment text not null, country char(2) not null
);
create table sales (
    sale_key bigint not null, date_key integer not null, store_key integer not null, product_key integer, customer_key integer,
    quantity integer not null, price numeric(10, 2) not null, discount numeric(4, 2) not null, note text
);

insert into dates
select i, date '2018-01-01' + i, extract(year from date '2018-01-01' + i), extract(month from date '2018-01-01' + i),
       extract(isodow from date '2018-01-01' + i), unit(i, 1) < 0.03
  from generate_series(0, 2556) i;

insert into stores
select i, 'Store ' || i, (array['DE', 'FR', 'NL', 'PL', 'SE', 'DK', 'AT', 'CH'])[1 + floor(8 * unit(i, 2))::int],
       'Region ' || i % 25, case when i % 20 > 0 then (50 + 2000 * unit(i, 3))::numeric(8, 1) end
  from generate_series(1, 500) i;

insert into products
select i, 'Product ' || i, 'Brand ' || floor(40 * unit(i, 4)), 'Category ' || floor(20 * unit(i, 5)), (1 + 500 * unit(i, 6))::numeric(10, 2)
  from generate_series(1, :products) i;

insert into customers
select i, 'Customer ' || i, case when i % 10 > 0 then date '1940-01-01' + (25000 * unit(i, 7))::int end,
       (array['private', 'business', 'public', 'club'])[1 + floor(4 * unit(i, 8))::int],
       (array['DE', 'FR', 'NL', 'PL', 'SE', 'DK', 'AT', 'CH'])[1 + floor(8 * unit(i, 9))::int]
  from generate_series(1, :customers) i;

insert into sales
select i, floor(2557 * unit(i, 10)), 1 + floor(500 * unit(i, 11) ^ 4),
       case when unit(i, 12) >= 0.01 then 1 + floor(:products * unit(i, 13) ^ 3) end,
       case when unit(i, 14) < 5 / 6.0 then case when unit(i, 15) < 1 / 6.0 then 1 else 1 + floor(:customers * unit(i, 15)) end end,
       1 + floor(10 * unit(i, 16)), (1 + 500 * unit(i, 17))::numeric(10, 2), (floor(10 * unit(i, 18)) / 100)::numeric(4, 2),
       case when unit(i, 19) < 0.2 then 'remark ' || i end
  from generate_series(1, :sales) i;

alter table dates add primary key (date_key);
alter table stores add primary key (store_key);
alter table products add primary key (product_key);
alter table customers add primary key (customer_key);
alter table sales add primary key (sale_key);
create index on sales (date_key);
create index on sales (store_key);
create index on sales (product_key);
create index on sales (customer_key);
alter table sales add foreign key (date_key) references dates;
alter table sales add foreign key (store_key) references stores;
alter table sales add foreign key (product_key) references products;
alter table sales add foreign key (customer_key) references customers;

create extension pg_joinscan;
vacuum (freeze, analyze);
