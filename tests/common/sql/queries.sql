-- Queries whose columns, or whose error with its words and its caret, are PostgreSQL's own. One a line.
SELECT account, day FROM daily \gdesc
SELECT * FROM daily \gdesc
SELECT d.*, 1 AS one FROM daily d \gdesc
SELECT count(*), sum(total), avg(total), min(total) FROM daily \gdesc
SELECT account, sum(total) FROM daily GROUP BY account \gdesc
SELECT account AS a, sum(total) AS s FROM daily GROUP BY a ORDER BY s DESC, a LIMIT 3 \gdesc
SELECT account, sum(total) FROM daily GROUP BY 1 HAVING sum(total) > 10 ORDER BY 2 \gdesc
SELECT date_trunc('month', day) AS day, sum(total) FROM daily GROUP BY day \gdesc
SELECT date_trunc('month', day) AS m, sum(total) FROM daily GROUP BY m \gdesc
SELECT date_trunc('month', day), count(*) FROM daily GROUP BY date_trunc('month', day) \gdesc
SELECT lower(account) || 'x', count(*) FROM daily GROUP BY lower(account) \gdesc
SELECT account FROM daily GROUP BY day \gdesc
SELECT sum(total), account FROM daily \gdesc
SELECT account, sum(total) FROM daily GROUP BY 2 \gdesc
SELECT account FROM daily GROUP BY 2 \gdesc
SELECT account FROM daily GROUP BY 1.5 \gdesc
SELECT account FROM daily GROUP BY 'x' \gdesc
SELECT account FROM daily ORDER BY 2 \gdesc
SELECT account FROM daily ORDER BY total \gdesc
SELECT DISTINCT account FROM daily ORDER BY total \gdesc
SELECT DISTINCT account, total FROM daily ORDER BY total \gdesc
SELECT total AS account, account AS total FROM daily ORDER BY account \gdesc
SELECT 1 AS a, 2 AS a ORDER BY a \gdesc
SELECT account FROM daily WHERE sum(total) > 1 \gdesc
SELECT account FROM daily WHERE total \gdesc
SELECT account FROM daily HAVING total > 1 \gdesc
SELECT sum(sum(total)) FROM daily \gdesc
SELECT sum(total) FILTER (WHERE sum(total) > 1) FROM daily \gdesc
SELECT sum(total) FILTER (WHERE account = 'a') FROM daily \gdesc
SELECT sum(total) FILTER (WHERE 1) FROM daily \gdesc
SELECT count(DISTINCT account) FROM daily \gdesc
SELECT count() FROM daily \gdesc
SELECT sum(*) FROM daily \gdesc
SELECT sum(account) FROM daily \gdesc
SELECT max(true) FROM daily \gdesc
SELECT acount FROM daily \gdesc
SELECT d.acount FROM daily d \gdesc
SELECT x.account FROM daily d \gdesc
SELECT daily.account FROM daily d \gdesc
SELECT account FROM dayly \gdesc
SELECT account FROM nowhere.daily \gdesc
SELECT account FROM run_12.daily \gdesc
SELECT daily.account FROM run_12.daily \gdesc
SELECT a.account FROM daily a, daily b WHERE a.day = b.day \gdesc
SELECT account FROM daily a, daily b \gdesc
SELECT 1 FROM daily, daily \gdesc
SELECT 1 FROM daily a JOIN hourly a ON true \gdesc
SELECT * FROM daily JOIN hourly USING (account) \gdesc
SELECT * FROM daily a JOIN hourly b USING (account) JOIN daily c USING (account, day) \gdesc
SELECT account, h.account FROM daily d LEFT JOIN hourly h USING (account) \gdesc
SELECT * FROM daily JOIN hourly USING (nothing) \gdesc
SELECT * FROM daily a JOIN daily b ON true JOIN hourly USING (account) \gdesc
SELECT * FROM daily a JOIN hourly b ON a.account = b.account AND a.total \gdesc
SELECT * FROM daily a JOIN hourly b ON a.account = 5 \gdesc
SELECT 1 FROM daily a, daily b JOIN hourly c ON a.account = c.account \gdesc
SELECT s.x FROM (SELECT account FROM daily) AS s (x) \gdesc
SELECT s.account FROM (SELECT account FROM daily) AS s (x) \gdesc
SELECT s.x FROM (SELECT account FROM daily) AS s (x, y) \gdesc
SELECT 1 FROM (SELECT account FROM daily) \gdesc
SELECT 1 FROM daily d, (SELECT d.account) s \gdesc
SELECT account FROM daily WHERE account IN (SELECT account FROM hourly) \gdesc
SELECT account FROM daily WHERE account IN (SELECT * FROM hourly) \gdesc
SELECT account FROM daily WHERE total IN (SELECT n FROM hourly) \gdesc
SELECT account FROM daily WHERE n IN (SELECT total FROM hourly) \gdesc
SELECT account FROM daily WHERE account IN (SELECT n FROM hourly) \gdesc
SELECT account FROM daily d WHERE EXISTS (SELECT 1 FROM hourly h WHERE h.account = d.account) \gdesc
SELECT (SELECT max(total) FROM hourly h WHERE h.account = d.account) FROM daily d \gdesc
SELECT (SELECT total AS t FROM hourly h) FROM daily d \gdesc
SELECT (SELECT account, total FROM hourly h) FROM daily d \gdesc
SELECT (SELECT h.total FROM hourly h WHERE h.account = d.account), sum(n) FROM daily d \gdesc
SELECT (SELECT h.total FROM hourly h WHERE h.account = d.account), sum(n) FROM daily d GROUP BY account \gdesc
SELECT (SELECT 1 FROM (SELECT d.account) x), sum(n) FROM daily d \gdesc
WITH q AS (SELECT account, total FROM daily) SELECT * FROM q \gdesc
WITH q (a, b) AS (SELECT account, total FROM daily) SELECT a, sum(b) FROM q GROUP BY a \gdesc
WITH q AS (SELECT 1 AS x), r AS (SELECT x + 1 AS y FROM q) SELECT y, x FROM r, q \gdesc
WITH q AS (SELECT 1), q AS (SELECT 2) SELECT 1 \gdesc
WITH q AS (SELECT * FROM r), r AS (SELECT 1) SELECT 1 FROM q \gdesc
WITH daily AS (SELECT 1 AS x) SELECT x FROM daily \gdesc
SELECT account FROM daily UNION ALL SELECT 'x' \gdesc
SELECT 'x' UNION ALL SELECT account FROM daily \gdesc
SELECT 1 UNION ALL SELECT 2.5 UNION ALL SELECT NULL \gdesc
SELECT NULL UNION ALL SELECT NULL UNION ALL SELECT 1 \gdesc
SELECT 1 UNION ALL SELECT 'x' \gdesc
SELECT 1 UNION ALL SELECT account FROM daily \gdesc
SELECT 1, 2 UNION ALL SELECT 1 \gdesc
SELECT 1 AS a UNION ALL SELECT 2 AS b ORDER BY a LIMIT 1 \gdesc
SELECT 1 AS a UNION ALL SELECT 2 AS b ORDER BY b \gdesc
(SELECT account FROM daily LIMIT 1) UNION ALL (SELECT account FROM hourly ORDER BY 1) \gdesc
SELECT now(), current_timestamp, current_date, localtimestamp \gdesc
SELECT row_number() OVER (ORDER BY total), rank() OVER w, lag(total) OVER w FROM daily WINDOW w AS (PARTITION BY account ORDER BY day) \gdesc
SELECT sum(total) OVER (PARTITION BY account ORDER BY day ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM daily \gdesc
SELECT sum(sum(total)) OVER (ORDER BY account) FROM daily GROUP BY account \gdesc
SELECT sum(total) OVER () FROM daily GROUP BY account \gdesc
SELECT ntile(4) OVER (ORDER BY day), first_value(account) OVER (), nth_value(n, 2) OVER (), percent_rank() OVER () FROM daily \gdesc
SELECT lag(n, 1, 0.5) OVER (ORDER BY day), lead(n, 1, 0) OVER (ORDER BY day) FROM daily \gdesc
SELECT row_number() FROM daily \gdesc
SELECT rank() OVER nothing FROM daily \gdesc
SELECT account FROM daily WHERE row_number() OVER () = 1 \gdesc
SELECT sum(rank() OVER ()) FROM daily \gdesc
SELECT rank() OVER (ORDER BY rank() OVER ()) FROM daily \gdesc
SELECT account FROM daily GROUP BY rank() OVER () \gdesc
SELECT sum(n) OVER (ROWS BETWEEN n PRECEDING AND CURRENT ROW) FROM daily \gdesc
SELECT sum(n) OVER (GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM daily \gdesc
SELECT count(DISTINCT n) OVER () FROM daily \gdesc
SELECT lower(n) OVER () FROM daily \gdesc
SELECT lower(account) OVER () FROM daily \gdesc
SELECT sum(DISTINCT) FROM daily \gdesc
SELECT (SELECT count(*) FROM hourly h WHERE h.n = d.n + 1) FROM daily d GROUP BY n \gdesc
SELECT d.n FROM daily d JOIN hourly h ON d.account = h.account LEFT JOIN daily e ON e.account = h.account AND e.n IS NULL \gdesc
SELECT lower(DISTINCT account) FROM daily \gdesc
SELECT account FROM daily LIMIT n \gdesc
SELECT account FROM daily LIMIT 'x' \gdesc
SELECT account FROM daily LIMIT true \gdesc
SELECT account FROM daily LIMIT 1.5 OFFSET '2' \gdesc
SELECT account FROM daily LIMIT sum(1) \gdesc
SELECT account FROM daily LIMIT ALL \gdesc
SELECT CASE account WHEN 'a' THEN 1 WHEN 'b' THEN 2.5 END FROM daily \gdesc
SELECT CASE n WHEN 1 THEN 'a' WHEN 'x' THEN 'b' END FROM daily \gdesc
SELECT CASE WHEN n THEN 1 END FROM daily \gdesc
SELECT CASE WHEN true THEN 1 ELSE account END FROM daily \gdesc
SELECT n BETWEEN 1 AND 'x' FROM daily \gdesc
SELECT account NOT IN ('a', 'b'), n NOT BETWEEN SYMMETRIC 1 AND 2, account NOT LIKE 'a%' FROM daily \gdesc
SELECT n AND true FROM daily \gdesc
SELECT NOT account FROM daily \gdesc
SELECT n IS TRUE FROM daily \gdesc
SELECT coalesce(n, account) FROM daily \gdesc
SELECT greatest(n, 1.5), least(day, '2026-01-01'), nullif(n, 0) FROM daily \gdesc
SELECT account::integer, n::text, total::numeric(5,1), '12'::integer, cast(n AS double precision) FROM daily \gdesc
SELECT '1x'::integer \gdesc
SELECT 'x'::numeric(5,2), total::numeric(1001, 2) FROM daily \gdesc
SELECT total::varchar(0) FROM daily \gdesc
SELECT n::nothing FROM daily \gdesc
SELECT day::integer FROM daily \gdesc
SELECT true::bigint \gdesc
SELECT substring(account from 2 for 3), trim(both 'x' from account), extract(day from day), position FROM daily \gdesc
SELECT date_trunc(day) FROM daily \gdesc
SELECT foo(n, account, 'x') FROM daily \gdesc
SELECT n + account FROM daily \gdesc
SELECT - account FROM daily \gdesc
SELECT account LIKE 5 FROM daily \gdesc
SELECT day - day > interval '1 day', day + interval '1 hour' FROM daily \gdesc
SELECT FROM WHERE \gdesc
SELECT 'ä', acount FROM daily \gdesc
SELECT 'äöü' 'x' FROM daily \gdesc
SELECT * \gdesc
SELECT x.* FROM daily \gdesc
SELECT day AT TIME ZONE 'UTC' FROM daily \gdesc
SELECT account FROM daily WHERE total > '1.2.3' \gdesc
SELECT account FROM daily WHERE account = ANY (SELECT account FROM hourly) \gdesc
SELECT "Account" FROM daily \gdesc
SELECT exists(SELECT 1), (SELECT 2), case when true then 1 end, 5::text, current_date, 'x'::text, -n FROM daily \gdesc
SELECT n FROM daily WINDOW w AS (ORDER BY nothing) \gdesc
SELECT n FROM daily WINDOW w AS (ORDER BY n), w AS () \gdesc
SELECT (SELECT h.total FROM hourly h WHERE h.account = d.account), sum(n) FROM daily d GROUP BY 1 \gdesc
SELECT 1 UNION ALL SELECT 'x' UNION ALL SELECT account FROM daily \gdesc
SELECT lag(nothing) FROM daily \gdesc
SELECT sum(sum(nothing)) FROM daily \gdesc
SELECT 1 FROM daily WHERE n AND nothing \gdesc
