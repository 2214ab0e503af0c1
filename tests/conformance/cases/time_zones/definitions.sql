CREATE FOREIGN TABLE sales (
    shop     text          NOT NULL,
    zone     text,
    amount   numeric(12,2) NOT NULL,
    sold_at  timestamptz   NOT NULL,
    wall_at  timestamp
) SERVER embedded OPTIONS (format 'json', event_time 'sold_at');

CREATE MATERIALIZED VIEW berlin_daily WITH (recompute = '30 2 * * *', time_zone = 'Europe/Berlin') AS
SELECT date_trunc('day', sold_at, 'Europe/Berlin') AS day, count(*) AS sales, sum(amount) AS total,
       min(sold_at AT TIME ZONE 'Europe/Berlin') AS first_wall, max(sold_at AT TIME ZONE 'Europe/Berlin') AS last_wall
FROM sales
GROUP BY day;

CREATE MATERIALIZED VIEW business_day AS
SELECT shop, (sold_at AT TIME ZONE 'America/New_York')::date AS day, extract(hour FROM sold_at AT TIME ZONE 'Asia/Kathmandu') AS hour,
       sum(amount) AS total
FROM sales
WHERE sold_at AT TIME ZONE 'Australia/Lord_Howe' < timestamp '2026-12-31 23:59:59'
GROUP BY 1, 2, 3;

CREATE MATERIALIZED VIEW hours AS
SELECT date_trunc('hour', sold_at, 'Australia/Lord_Howe') AS hour, date_trunc('week', sold_at, 'europe/dublin') AS week,
       date_trunc('quarter', wall_at AT TIME ZONE 'Africa/Casablanca', 'Africa/Casablanca') AS quarter, count(*) AS sales
FROM sales
GROUP BY 1, 2, 3;

CREATE MATERIALIZED VIEW instants AS
SELECT zone, sold_at, wall_at, wall_at AT TIME ZONE 'Europe/Berlin' AS berlin, wall_at AT TIME ZONE 'America/New_York' AS york,
       wall_at AT TIME ZONE 'Pacific/Apia' AS apia, wall_at AT TIME ZONE interval '-03:30' AS west, count(*) AS sales
FROM sales
GROUP BY zone, sold_at, wall_at;
