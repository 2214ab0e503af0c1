CREATE FOREIGN TABLE payments (
    payment_id text          NOT NULL,
    account    text          NOT NULL,
    amount     numeric(18,2) NOT NULL,
    currency   text          NOT NULL,
    status     text          OPTIONS (path 'data.status') NOT NULL,
    paid_at    timestamptz   NOT NULL
) SERVER embedded OPTIONS (format 'json', event_time 'paid_at');

CREATE MATERIALIZED VIEW account_daily WITH (recompute = '0 2 * * *') AS
SELECT account, date_trunc('day', paid_at) AS day,
       count(*) AS payments, sum(amount) AS total, min(amount) AS smallest, max(amount) AS largest,
       sum(amount) FILTER (WHERE status = 'refunded') AS refunded
FROM payments
WHERE status <> 'failed'
GROUP BY account, day;

CREATE MATERIALIZED VIEW overall AS
SELECT count(*) AS payments, sum(amount) AS total, avg(amount) AS average, count(DISTINCT account) AS accounts
FROM payments;

CREATE MATERIALIZED VIEW big_accounts AS
SELECT account, sum(amount) AS total FROM payments GROUP BY account HAVING sum(amount) > 100;
