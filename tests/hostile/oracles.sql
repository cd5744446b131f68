# Answers that could tell one bit of what is hidden: errors, counts, joins, guesses, ranges, order.
# The same statement is asked of two bases that differ in hidden rows and true values only.
--- any
SELECT count(*) FROM {view}
--- any
SELECT count(*), count(name), count(salary), count(bonus), min(n), max(n), sum(qty) FROM {view}
--- any
SELECT * FROM {view} WHERE n = {hid}
--- any
SELECT * FROM {view} WHERE id = {hid_id}
--- any
SELECT n FROM {view} WHERE name = '{true:hidname}'
--- any
SELECT EXISTS (FROM {view} WHERE n = {hid}), EXISTS (FROM {view} WHERE n = {vis})
--- any
SELECT n FROM {view} WHERE email = '{true:email}'
--- any
SELECT n FROM {view} WHERE email LIKE '{part:email}%'
--- any
SELECT n FROM {view} WHERE email = md5('{true:email}') OR email = sha256('{true:email}') OR email = left(sha256('{true:email}'), 32)
--- any
SELECT n FROM {view} WHERE email IN (md5('{true:email}'), sha1('{true:email}'), hash('{true:email}')::VARCHAR, to_hex(hash('{true:email}')))
--- any
SELECT n FROM {view} WHERE contains(email, '{true:email}') OR '{true:email}' LIKE email
--- any
SELECT count(*) FROM {view} v JOIN (VALUES ('{true:email}'), ('{true:ssn}')) g(x) ON g.x IN (v.email, v.ssn, v.card, v.code)
--- any
SELECT n FROM {view} WHERE ssn = '{true:ssn}'
--- any
SELECT n, levenshtein(ssn, '{true:ssn}') AS d FROM {view} ORDER BY d, n LIMIT 5
--- any
SELECT n, jaro_winkler_similarity(card, '{true:card}') AS d FROM {view} ORDER BY d DESC, n LIMIT 5
--- any
SELECT n FROM {view} WHERE card SIMILAR TO '{true:card}'
--- any
SELECT n FROM {view} WHERE regexp_full_match('{true:card}', replace(card, '*', '.'))
--- any
SELECT n FROM {view} WHERE code = '{true:code}' OR code = translate('{true:code}', '0123456789', 'nnnnnnnnnn')
--- any
SELECT n FROM {view} WHERE length(ssn) = length('{true:ssn}')
--- any
SELECT length(ssn), count(*) FROM {view} GROUP BY 1
--- any
SELECT n FROM {view} WHERE strlen(card) > 10 OR bit_length(ssn) > 200
--- any
SELECT n FROM {view} WHERE salary = {true:salary}
--- any
SELECT n FROM {view} WHERE salary > 500000000000000
--- any
SELECT n FROM {view} WHERE salary BETWEEN {true:salary} - 1 AND {true:salary} + 1 OR bonus = {true:bonus}
--- any
SELECT n FROM {view} WHERE bonus > 0
--- any
SELECT n FROM {view} ORDER BY salary DESC, bonus, n LIMIT 7
--- any
SELECT n FROM {view} ORDER BY ssn, n LIMIT 9
--- any
SELECT n, rank() OVER (ORDER BY salary), dense_rank() OVER (ORDER BY bonus), ntile(4) OVER (ORDER BY seen, n) FROM {view}
--- any
SELECT n FROM {view} WHERE seen = TIMESTAMP '{true:seen}'
--- any
SELECT n FROM {view} WHERE seen > TIMESTAMP '{true:seen}' - INTERVAL 1 SECOND AND seen < TIMESTAMP '{true:seen}' + INTERVAL 1 SECOND
--- any
SELECT seen, count(*) FROM {view} GROUP BY seen ORDER BY seen
--- any
SELECT extract(microsecond FROM seen), extract(hour FROM seen), dayofmonth(seen), count(*) FROM {view} GROUP BY ALL
--- any
SELECT n FROM {view} WHERE seen IN (SELECT seen FROM {view} WHERE n = {hid})
--- any
SELECT team, count(*) FROM {view} GROUP BY team ORDER BY 2, 1
--- any
SELECT n FROM {view} WHERE team = '3' OR team = '7'
--- any
SELECT n FROM {view} WHERE TRY_CAST(team AS INTEGER) = 3
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.email = b.email
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.salary = b.salary
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.bonus = b.bonus AND a.n < b.n
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.ssn = b.ssn
--- any
SELECT a.n, b.n FROM {view} a JOIN {view} b ON a.n + 1 = b.n WHERE a.name > b.name
--- any
SELECT n + 1 AS missing FROM {view} EXCEPT SELECT n FROM {view}
--- any
SELECT g AS missing FROM range(1, 500) r(g) WHERE g NOT IN (SELECT n FROM {view})
--- any
SELECT r.g, v.name, v.email FROM range(1, 500) r(g) LEFT JOIN {view} v ON v.n = r.g
--- any
SELECT r.g, v.name FROM range(1, 500) r(g) FULL OUTER JOIN {view} v ON v.n = r.g WHERE v.n IS NULL OR r.g IS NULL
--- any
SELECT n FROM {view} v WHERE NOT EXISTS (SELECT 1 FROM {view} w WHERE w.n = v.n - 1)
--- any
SELECT {hid} IN (SELECT n FROM {view}) AS there, {hid} NOT IN (SELECT n FROM {view} WHERE n IS NOT NULL) AS gone
--- any
SELECT 1 / count(*) FROM {view} WHERE n = {hid}
--- any
SELECT 1 // (count(*) - 1) FROM {view} WHERE n = {hid}
--- any
SELECT (SELECT 1 FROM range(2) WHERE (SELECT count(*) FROM {view} WHERE n = {hid}) > 0)
--- any
SELECT CASE WHEN EXISTS (FROM {view} WHERE n = {hid} AND name > 'p') THEN 'x'::INT ELSE 1 END
--- any
SELECT n FROM {view} WHERE CASE WHEN n = {hid} THEN 1 // (n - {hid}) ELSE 1 END = 1
--- any
SELECT sum(CASE WHEN n = {hid} THEN 9223372036854775807 ELSE 1 END) FROM {view}
--- any
SELECT max(CASE WHEN n <> {hid} THEN 1 ELSE id * 100000000 END) FROM {view}
--- any
SELECT count(*) FROM {view} WHERE id * (CASE WHEN n = {hid} THEN 100000 ELSE 1 END) > 0
--- any
SELECT count(*) FROM {view} WHERE (id + CASE WHEN n = {hid} AND name < 'm' THEN 9223372036854770000 ELSE 0 END) > 0
--- any
SELECT count(*) FROM {view} WHERE n = {hid} AND regexp_matches(name, '[')
--- any
SELECT count(*) FROM {view} WHERE n = {hid} OR strptime('x' || qty, 'x%d') IS NULL
--- any
SELECT bool_or(name LIKE 'z%'), bool_and(note LIKE 'open%') FROM {view}
--- any
SELECT min(name), max(name), min(note), max(note), min(id), max(id) FROM {view}
--- any
SELECT min(email) > '0', max(ssn), min(card), max(code), min(seen), max(seen) FROM {view}
--- any
SELECT approx_count_distinct(name), count(DISTINCT name), count(DISTINCT ssn), count(DISTINCT seen) FROM {view}
--- any
SELECT quantile_disc(id, [0, 0.1, 0.5, 0.9, 1]), mad(n), entropy(region) FROM {view}
--- any
SELECT region, count(*) FROM {view} GROUP BY ROLLUP (region) ORDER BY ALL
--- any
SELECT region, qty, count(*), grouping(region, qty) FROM {view} GROUP BY CUBE (region, qty) ORDER BY ALL
--- any
SELECT region IS NULL, count(*) FROM {view} GROUP BY ALL
--- any
SELECT DISTINCT region FROM {view} ORDER BY 1
--- any
SELECT mode(region), histogram(region), list(DISTINCT region ORDER BY region) FROM {view}
--- any
SELECT count(*) FROM {view} WHERE region <> 'EU' OR region IS NULL
--- any
SELECT count(*) FROM {view} WHERE note LIKE 'shut%'
--- any
SELECT n, n - lag(n) OVER (ORDER BY n) AS gap FROM {view} QUALIFY gap > 1
--- any
SELECT n, name FROM {view} ORDER BY n LIMIT 5 OFFSET 20
--- any
SELECT n, row_number() OVER () FROM {view} WHERE n > {hid} - 3 AND n < {hid} + 3 ORDER BY n
--- any
SELECT lead(name) OVER (ORDER BY n) FROM {view} WHERE n < {hid} ORDER BY n DESC LIMIT 1
--- any
SELECT sum(qty) OVER (ORDER BY n RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM {view} ORDER BY n
--- any
SELECT first(n ORDER BY n), last(n ORDER BY n), any_value(n ORDER BY n), nth_value(n, 3) OVER (ORDER BY n) FROM {view} GROUP BY n ORDER BY n
--- any
SELECT corr(n, qty), regr_slope(n, qty), covar_pop(n, bonus), stddev(qty) FROM {view}
--- any
SELECT hash(name) FROM {view} ORDER BY n LIMIT 3
--- any
SELECT md5(string_agg(name, ',' ORDER BY n)), sha256(string_agg(ssn, ',' ORDER BY n)) FROM {view}
--- any
SELECT bit_xor(hash(v)) FROM {view} v
--- any
SELECT product(qty + 1), bit_and(n), bit_or(n), fsum(price), favg(price) FROM {view}
--- any
SELECT reservoir_quantile(n, 0.5, 8192) IS NULL FROM {view}
--- any varies
SELECT count(*) FROM {view} TABLESAMPLE 50%
--- any varies
SELECT n, name, email, ssn FROM {view} USING SAMPLE reservoir(20 ROWS)
--- any varies
SELECT * FROM {view} TABLESAMPLE system(90%) REPEATABLE (7)
--- any varies
SELECT * FROM (SELECT * FROM {view} TABLESAMPLE bernoulli(99.9%)) WHERE n = {hid}
--- any varies
SELECT n FROM {view} WHERE random() < 0.5 OR n = {hid}
--- any varies
SELECT n, uuid(), random(), now() FROM {view} ORDER BY random() LIMIT 4
--- any varies
SELECT n, badge FROM {local_view} ORDER BY n
--- any varies
SELECT l.n FROM {local_view} l JOIN {view} v ON l.badge = v.email
--- any varies
SELECT l.n FROM {local_view} l WHERE badge IN ('{true:badge}', md5('{true:badge}'), sha256('{true:badge}'), left(sha256('{true:badge}'), 32))
--- any varies
SELECT min(badge), max(badge), badge::UUID FROM {local_view} GROUP BY badge
--- any varies
SELECT count(*) FROM {local_view} a JOIN {local_view} b USING (badge)
--- any varies
SELECT (l::VARCHAR)::INT FROM {local_view} l
--- any
SELECT n, EXISTS (FROM {view} w WHERE w.n = v.n + 1), (SELECT max(name) FROM {view}) || 'x' FROM {view} v
--- any
SELECT unnest((SELECT {'a': n} FROM {view} ORDER BY n LIMIT 1))
--- any
SELECT [(SELECT count(*) FROM {view})], {'k': (SELECT min(n) FROM {view} AS x)} FROM {view} LIMIT 1
--- any
SELECT * FROM (SELECT count(*), (SELECT count(*) FROM {view} WHERE n = {hid}) FROM {view}) t
