# Joins, subqueries, set operations, common table expressions.
--- ok
SELECT v.n, v.name, o.item, o.amount FROM {view} v JOIN {orders} o ON o.n = v.n
--- ok
SELECT v.n, o.order_no FROM {view} v JOIN {orders} o USING (n)
--- ok
SELECT v.n, o.item FROM {view} v LEFT JOIN {orders} o ON o.n = v.n AND o.amount > 50
--- ok
SELECT o.order_no, v.name FROM {view} v RIGHT JOIN {orders} o ON o.n = v.n
--- ok
SELECT v.n, o.order_no FROM {view} v FULL OUTER JOIN {orders} o ON o.n = v.n
--- ok
SELECT count(*) FROM {view} v CROSS JOIN {orders} o
--- ok
SELECT v.n FROM {view} v SEMI JOIN {orders} o ON o.n = v.n
--- ok
SELECT v.n FROM {view} v ANTI JOIN {orders} o USING (n)
--- ok
SELECT v.n, o.order_no FROM {view} v NATURAL JOIN (SELECT n, order_no FROM {orders}) o
--- ok
SELECT v.n, o.item FROM {view} v JOIN {orders} o ON o.email = v.email
--- ok
SELECT v.name, count(o.order_no) AS orders, sum(o.amount) AS total FROM {view} v LEFT JOIN {orders} o USING (email) GROUP BY v.name
--- ok
SELECT a.n, b.n FROM {view} a JOIN {view} b ON a.region = b.region AND a.qty = b.qty AND a.n < b.n
--- ok
SELECT a.n, b.n FROM {view} a JOIN {view} b ON a.n + 1 = b.n
--- ok
SELECT a.team, count(*) FROM {view} a JOIN {view} b ON a.team = b.team GROUP BY a.team
--- ok
SELECT a.n, c.item FROM {view} a JOIN {view} b ON a.n = b.n JOIN {orders} c ON c.n = b.n WHERE b.qty > 2
--- ok
SELECT a.n, o.order_no FROM {view} a, {orders} o WHERE a.n = o.n AND a.region = 'EU'
--- ok
SELECT a.n, b.n AS at FROM {view} a ASOF JOIN {orders} b ON a.n >= b.n
--- ok
SELECT v.n, w.o FROM {view} v JOIN (SELECT n, max(order_no) AS o FROM {orders} GROUP BY n) w ON w.n = v.n
--- ok
SELECT v.n, l.total FROM {view} v, LATERAL (SELECT sum(amount) AS total FROM {orders} o WHERE o.n = v.n) l
--- ok
SELECT v.n, l.item FROM {view} v LEFT JOIN LATERAL (SELECT item FROM {orders} o WHERE o.n = v.n ORDER BY order_no LIMIT 1) l ON true
--- ok
SELECT n FROM {view} WHERE n IN (SELECT n FROM {orders} WHERE amount > 20)
--- ok
SELECT n FROM {view} WHERE n NOT IN (SELECT n FROM {orders} WHERE n IS NOT NULL)
--- ok
SELECT n FROM {view} v WHERE EXISTS (SELECT 1 FROM {orders} o WHERE o.n = v.n AND o.item = 'lamp')
--- ok
SELECT n FROM {view} v WHERE NOT EXISTS (FROM {orders} o WHERE o.n = v.n)
--- ok
SELECT n, (SELECT count(*) FROM {orders} o WHERE o.n = v.n) AS orders FROM {view} v
--- ok
SELECT n FROM {view} WHERE price > (SELECT avg(price) FROM {view})
--- ok
SELECT n FROM {view} WHERE qty >= ALL (SELECT qty FROM {view})
--- ok
SELECT n FROM {view} WHERE qty = ANY (SELECT min(qty) FROM {view} GROUP BY region)
--- ok
SELECT n FROM {view} v WHERE price > (SELECT avg(price) FROM {view} w WHERE w.region = v.region)
--- ok
SELECT (SELECT max(n) FROM {view}) - (SELECT min(n) FROM {view}) AS span, (SELECT count(*) FROM {orders}) AS o
--- ok
SELECT len(ARRAY(SELECT name FROM {view} ORDER BY n)) AS l
--- ok
SELECT * FROM (SELECT region, n, row_number() OVER (PARTITION BY region ORDER BY n) AS r FROM {view}) WHERE r <= 2
--- ok
SELECT t.x, v.n FROM (VALUES (1), (2), (3)) t(x) LEFT JOIN {view} v ON v.qty = t.x
--- ok
SELECT r.i, count(v.n) FROM range(12) r(i) LEFT JOIN {view} v ON v.qty = r.i GROUP BY r.i
--- ok
SELECT v.n, u.t FROM {view} v, unnest(v.tags) u(t)
--- ok
SELECT n FROM {view} WHERE qty < 3 UNION SELECT n FROM {orders}
--- ok
SELECT n, name FROM {view} UNION ALL SELECT n, item FROM {orders}
--- ok
SELECT n FROM {view} EXCEPT SELECT n FROM {orders}
--- ok
SELECT n FROM {view} INTERSECT SELECT n FROM {orders}
--- ok
SELECT qty FROM {view} EXCEPT ALL SELECT qty FROM {view} WHERE n % 2 = 0
--- ok
SELECT region, qty FROM {view} INTERSECT ALL SELECT region, qty FROM {view} WHERE price > 3
--- ok
SELECT n, name FROM {view} WHERE n < 30 UNION BY NAME SELECT n, item FROM {orders}
--- ok ordered
(SELECT n FROM {view} ORDER BY n LIMIT 3) UNION ALL (SELECT n FROM {view} ORDER BY n DESC LIMIT 3) ORDER BY n
--- ok
WITH eu AS (SELECT * FROM {view} WHERE region = 'EU') SELECT count(*), avg(price) FROM eu
--- ok
WITH a AS (SELECT n, qty FROM {view}), b AS (SELECT n, sum(amount) AS s FROM {orders} GROUP BY n), c AS (SELECT a.n, qty, s FROM a LEFT JOIN b USING (n)) SELECT * FROM c WHERE s IS NOT NULL
--- ok
WITH top AS MATERIALIZED (SELECT n, price FROM {view} ORDER BY price DESC, n LIMIT 10) SELECT t.n, o.item FROM top t LEFT JOIN {orders} o USING (n)
--- ok
WITH {view} AS (SELECT n, qty FROM {view} WHERE qty > 1) SELECT sum(qty) FROM {view}
--- ok
WITH x(a, b) AS (SELECT n, name FROM {view}) SELECT a, b FROM x WHERE a % 5 = 0
--- ok
SELECT * FROM (WITH y AS (SELECT region, count(*) AS k FROM {view} GROUP BY region) SELECT * FROM y) z WHERE k > 1
--- ok
WITH RECURSIVE chain(n, depth) AS (SELECT min(n), 0 FROM {view} UNION ALL SELECT (SELECT min(v.n) FROM {view} v WHERE v.n > chain.n), depth + 1 FROM chain WHERE depth < 5) SELECT * FROM chain
--- ok
WITH RECURSIVE d(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM d WHERE i < 9) SELECT d.i, count(v.n) FROM d LEFT JOIN {view} v ON v.qty = d.i GROUP BY d.i
--- ok
SELECT v.n FROM {view} v JOIN {view} w ON v.n = w.n AND v.email = w.email AND v.ssn = w.ssn AND v.seen = w.seen
--- ok
SELECT count(*) FROM {view} a POSITIONAL JOIN (SELECT range AS i FROM range(5)) b
--- ok
SELECT a.region, b.region, count(*) FROM (SELECT DISTINCT region FROM {view}) a, (SELECT DISTINCT region FROM {view}) b GROUP BY ALL
