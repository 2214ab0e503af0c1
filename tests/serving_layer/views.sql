-- Views of tests/serving_layer. generate_queries.py makes the same ones in PostgreSQL over the same events
-- (tests/common/engine/events.ndjson).
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
       sum(fee) AS fees, sum(qty) AS qty, max(big) AS big, sum(price) AS price, count(DISTINCT token) AS tokens,
       sum(free) AS free, stddev(qty) AS spread, bool_and(ok) AS ok, max(at) AS last_at
FROM trades GROUP BY account;

CREATE MATERIALIZED VIEW by_account_day AS
SELECT account, date_trunc('day', at) AS midnight, count(*) AS n, sum(amount) AS total, sum(qty) AS qty,
       min(branch) AS branch
FROM trades GROUP BY account, midnight;

CREATE MATERIALIZED VIEW by_branch AS
SELECT branch, ok, count(*) AS n, sum(amount) AS total, avg(fee) AS fee
FROM trades GROUP BY branch, ok;

CREATE MATERIALIZED VIEW by_free AS
SELECT free, count(*) AS n, sum(qty) AS qty FROM trades GROUP BY free;

CREATE MATERIALIZED VIEW by_token AS
SELECT token, day, count(*) AS n, sum(small) AS small FROM trades GROUP BY token, day;

CREATE MATERIALIZED VIEW by_qty AS
SELECT qty, count(*) AS n, sum(amount) AS total FROM trades GROUP BY qty HAVING count(*) > 1;

CREATE MATERIALIZED VIEW everything AS
SELECT count(*) AS n, sum(amount) AS total, count(DISTINCT account) AS accounts, max(local) AS last_local
FROM trades;

CREATE MATERIALIZED VIEW nothing AS
SELECT count(*) AS n, sum(qty) AS qty, max(account) AS hi FROM trades WHERE amount > 99999999999999;
