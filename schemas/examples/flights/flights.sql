-- 3,000,000 real US flights of January to June 2001 (US Bureau of Transportation Statistics, by way of the npm package
-- vega-datasets), one JSON object a line: {"date":"2001-01-01T00:01:00Z","delay":33,"distance":2176,"origin":"LAS",...}
CREATE FOREIGN TABLE flights (
    date        timestamptz NOT NULL,
    delay       integer     NOT NULL,   -- minutes; negative: early
    distance    integer     NOT NULL,   -- miles
    origin      text        NOT NULL,
    destination text        NOT NULL
) SERVER embedded OPTIONS (format 'json', event_time 'date');

-- Departures and delays by airport and hour.
CREATE MATERIALIZED VIEW departures_hourly WITH (recompute = '*/15 * * * *') AS
SELECT origin, date_trunc('hour', date) AS hour,
       count(*) AS departures, sum(delay) AS delay_minutes, max(delay) AS worst_delay,
       count(*) FILTER (WHERE delay >= 15) AS late,
       round(100.0 * count(*) FILTER (WHERE delay >= 15) / count(*), 1) AS late_percent
FROM flights
GROUP BY origin, hour;

-- By route.
CREATE MATERIALIZED VIEW routes WITH (recompute = '@hourly') AS
SELECT origin, destination, count(*) AS flights, min(distance) AS miles,
       avg(delay) AS average_delay, stddev_samp(delay) AS delay_deviation,
       min(date) AS first_flight, max(date) AS last_flight
FROM flights
GROUP BY origin, destination;

-- By day, over the whole country.
CREATE MATERIALIZED VIEW days WITH (recompute = '@daily') AS
SELECT date_trunc('day', date)::date AS day, count(*) AS flights, sum(distance) AS miles,
       count(DISTINCT origin) AS airports, bool_or(delay > 600) AS had_ten_hour_delay
FROM flights
GROUP BY 1;
