# Questions about the view, amounts and times of orders.
--- ok
DESCRIBE {view}
--- ok
DESC {orders}
--- ok
DESCRIBE SELECT n, email, dims FROM {view}
--- ok own
SUMMARIZE {view}
--- ok own
SUMMARIZE SELECT n, qty, price FROM {view}
--- ok own
SHOW TABLES
--- ok own
EXPLAIN SELECT * FROM {view}
--- ok own
EXPLAIN SELECT v.n FROM {view} v JOIN {orders} o USING (n) WHERE o.amount > 5
--- ok own
SELECT name FROM system.tables
--- ok
SELECT item, count(*), sum(amount), avg(amount), max(amount) FROM {orders} GROUP BY item
--- ok
SELECT date_trunc('month', placed) AS m, sum(amount) FROM {orders} GROUP BY m
--- ok
SELECT order_no, placed, placed - INTERVAL 1 HOUR, date_diff('hour', TIMESTAMP '2023-01-01', placed), dayofweek(placed) FROM {orders}
--- ok
SELECT order_no, amount * 1.19, round(amount, 0), amount::DOUBLE, amount::INTEGER, -amount FROM {orders}
--- ok
SELECT n, sum(amount) OVER (PARTITION BY n ORDER BY order_no) AS running, order_no FROM {orders}
--- ok
SELECT v.region, o.item, sum(o.amount) FROM {view} v JOIN {orders} o USING (n) GROUP BY ROLLUP (v.region, o.item)
--- ok
SELECT item, n FROM {orders} o WHERE amount = (SELECT max(amount) FROM {orders} p WHERE p.item = o.item)
--- ok
SELECT o.item, count(DISTINCT v.team) FROM {view} v JOIN {orders} o USING (n) GROUP BY o.item
--- ok
SELECT order_no, placed AT TIME ZONE 'UTC', strftime(placed, '%Y-%m'), placed::DATE, extract(epoch FROM placed) FROM {orders}
--- ok ordered
SELECT order_no, amount FROM {orders} ORDER BY amount DESC, order_no LIMIT 10
--- ok
SELECT 1 AS one, 'text' AS t, NULL AS nothing, TRUE AS yes, DATE '2024-02-29' AS d
--- ok
SELECT * FROM range(5) r(i), (VALUES ('a'), ('b')) t(x)
--- ok
VALUES (1, 'a'), (2, 'b')
