-- Payments made by scripts/generate-payments: a seed gives the same events at any size.
CREATE FOREIGN TABLE payments (
    payment_id text          NOT NULL,
    account    text          NOT NULL,
    amount     numeric(18,2) NOT NULL,
    currency   text          NOT NULL,
    status     text          NOT NULL,
    paid_at    timestamptz   NOT NULL
) SERVER embedded OPTIONS (format 'json', event_time 'paid_at');

-- The balance of every account, to the cent.
CREATE MATERIALIZED VIEW account_totals WITH (recompute = '0 2 * * *') AS
SELECT account, count(*) AS payments, sum(amount) AS total, min(amount) AS smallest, max(amount) AS largest,
       sum(amount) FILTER (WHERE status = 'refunded') AS refunded
FROM payments
WHERE status <> 'failed'
GROUP BY account;

CREATE MATERIALIZED VIEW currency_minutes WITH (recompute = '0 2 * * *') AS
SELECT currency, date_trunc('minute', paid_at) AS minute, count(*) AS payments, sum(amount) AS total
FROM payments
GROUP BY currency, minute;
