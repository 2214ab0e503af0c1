-- Views of tests/common/engine/test_views.c. generate_views.py runs the same definitions in PostgreSQL over the same events.
CREATE FOREIGN TABLE trades (
    account text          NOT NULL,
    branch  varchar(8),
    amount  numeric(18,2) NOT NULL,
    fee     numeric(9,4),
    wide    numeric(38,10),
    free    numeric,
    small   smallint,
    qty     integer       NOT NULL,
    big     bigint,
    price   double precision,
    ok      boolean,
    day     date,
    at      timestamptz   NOT NULL,
    local   timestamp,
    token   uuid
) SERVER embedded OPTIONS (format 'json');

CREATE MATERIALIZED VIEW by_account AS
SELECT account, count(*) AS n, sum(amount) AS total, min(amount) AS lo, max(amount) AS hi, avg(amount) AS mean,
       count(fee) AS fees, sum(fee) AS fee_total, avg(fee) AS fee_mean
FROM trades GROUP BY account;

CREATE MATERIALIZED VIEW by_branch_day AS
SELECT branch, date_trunc('day', at) AS midnight, count(*) AS n, sum(qty) AS qty, sum(big) AS big, sum(small) AS small,
       avg(qty) AS mean_qty, avg(big) AS mean_big, min(account) AS first, max(account) AS last,
       count(DISTINCT account) AS accounts, count(DISTINCT free) AS frees
FROM trades WHERE amount > -50 GROUP BY branch, midnight;

CREATE MATERIALIZED VIEW everything AS
SELECT count(*) AS n, count(branch) AS branches, sum(amount) FILTER (WHERE ok) AS good, sum(free) AS free,
       avg(free) AS mean_free, sum(wide) AS wide, avg(wide) AS mean_wide, bool_and(ok) AS all_ok, bool_or(ok) AS any_ok,
       min(day) AS first_day, max(day) AS last_day, min(local) AS first_local, max(at) AS last_at,
       min(price) AS low, max(price) AS high, count(DISTINCT token) AS tokens, count(DISTINCT day) FILTER (WHERE ok) AS days
FROM trades;

CREATE MATERIALIZED VIEW nothing AS
SELECT count(*) AS n, sum(qty) AS qty, min(amount) AS lo, max(account) AS hi, bool_and(ok) AS ok, avg(big) AS mean,
       stddev(qty) AS spread, count(DISTINCT account) AS accounts, sum(price) AS price
FROM trades WHERE qty > 1000000;

CREATE MATERIALIZED VIEW spread AS
SELECT ok, small % 3 AS third, count(*) AS n, var_samp(qty) AS a, var_pop(qty) AS b, stddev_samp(qty) AS c,
       stddev_pop(qty) AS d, variance(amount) AS e, stddev(amount) AS f, var_pop(big) AS g, stddev(fee) AS h,
       stddev(wide) AS i, variance(free) AS j, stddev_pop(small) AS k
FROM trades GROUP BY ok, third;

CREATE MATERIALIZED VIEW keys_of_all_kinds AS
SELECT account, amount, wide, free, small, big, price, ok, day, local, token, count(*) AS n, sum(qty) AS qty
FROM trades GROUP BY account, amount, wide, free, small, big, price, ok, day, local, token;

CREATE MATERIALIZED VIEW busy AS
SELECT upper(branch) AS branch, extract(hour from at) AS hour, count(*) * 2 AS twice, sum(amount) / count(*) AS mean,
       max(amount) - min(amount) AS range, coalesce(sum(fee), 0) AS fee, sum(qty) * 1.5 AS weighted
FROM trades WHERE branch IS NOT NULL AND (ok OR qty < 0 OR branch LIKE 'b%')
GROUP BY upper(branch), hour HAVING count(*) > 2 AND sum(amount) > 10;

CREATE MATERIALIZED VIEW doubles AS
SELECT branch, count(price) AS n, sum(price) AS total, avg(price) AS mean, min(price) AS lo, max(price * 2) AS hi
FROM trades GROUP BY branch;

CREATE MATERIALIZED VIEW conditional AS
SELECT CASE WHEN qty > 0 THEN 'buy' WHEN qty < 0 THEN 'sell' ELSE 'none' END AS side,
       sum(CASE WHEN qty <> 0 THEN amount / qty END) AS per_item, min(free) AS lo, max(free) AS hi,
       sum(qty * (big % 1000003)) AS volume, count(*) FILTER (WHERE fee IS NULL) AS without_fee, max(wide) AS wide, min(branch) AS branch
FROM trades GROUP BY side;
