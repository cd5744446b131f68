# Statements that want more time or memory than there is; the guard lets them through. What comes is
# an answer, a clear error, or the end at the deadline.
--- any
SELECT count(*) FROM range(1000000000) a, range(1000000000) b
--- any
SELECT sum(a.n * b.n * c.n % 7) FROM {view} a, {view} b, {view} c, {view} d, {view} e
--- any
SELECT count(DISTINCT hash(a.range, b.range)) FROM range(1000000) a, range(100000) b
--- any
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r
--- any
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r, range(3)) SELECT count(*) FROM r
--- any
WITH RECURSIVE r(s) AS (SELECT 'xxxxxxxxxxxxxxxx' UNION ALL SELECT s || s FROM r) SELECT max(length(s)) FROM r
--- any
WITH RECURSIVE f(a, b) AS (SELECT 1::HUGEINT, 1::HUGEINT UNION ALL SELECT b, (a + b) % 1000000007 FROM f) SELECT max(a) FROM f
--- any
SELECT length(repeat('x', 2000000000))
--- any
SELECT repeat(repeat('ab', 1000000), 1000)
--- any
SELECT sum(length(repeat(name, 10000000))) FROM {view}
--- any
SELECT repeat(name, 100000) FROM {view}, range(1000)
--- any
SELECT lpad('x', 2000000000, 'y')
--- any
SELECT length(rpad(name, 1500000000, 'ab')) FROM {view}
--- any
SELECT format('{:>2000000000}', 'x')
--- any
SELECT printf('%1999999999d', 1)
--- any
SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))
--- any
SELECT damerau_levenshtein(repeat('ab', 30000), repeat('ba', 30000))
--- any
SELECT jaro_winkler_similarity(repeat('ab', 2000000), repeat('ba', 2000000))
--- any
SELECT jaccard(repeat('abc', 30000000), repeat('cab', 30000000))
--- any
SELECT hamming(repeat('x', 900000000), repeat('y', 900000000))
--- any
SELECT len(regexp_extract_all(repeat('ab', 50000000), 'a'))
--- any
SELECT length(regexp_replace(repeat('ab', 50000000), 'a', 'ccccccccc', 'g'))
--- any
SELECT regexp_matches(repeat('a', 20000000), '(a*)*b(a|b)*c{0,50}$')
--- any
SELECT regexp_matches(repeat('x', 10000000), '((x{1,30}){1,30}y)?z')
--- any
SELECT len(string_split(repeat('a,', 100000000), ','))
--- any
SELECT len(string_split_regex(repeat('a1', 30000000), '[0-9]'))
--- any
SELECT length(replace(repeat('a', 100000000), 'a', 'bbbbbbbbbb'))
--- any
SELECT length(translate(repeat('abc', 200000000), 'abc', 'xyz'))
--- any
SELECT list_sum(list_transform(range(30000000), x -> x * x % 7))
--- any
SELECT len(list_filter(range(50000000), x -> x % 3 = 1))
--- any
SELECT list_reduce(range(10000000), (a, b) -> (a * 31 + b) % 1000003)
--- any
SELECT list_reduce(['a' FOR x IN range(200000)], (a, b) -> a || b)
--- any
SELECT list_sort(list_transform(range(20000000), x -> hash(x)))[1]
--- any
SELECT list_grade_up(list_transform(range(10000000), x -> hash(x)))[1]
--- any
SELECT len(flatten([range(10000) FOR x IN range(20000)]))
--- any
SELECT len(list_distinct(range(50000000))), len(list_unique([range(3000)]))
--- any
SELECT len(list_transform(range(100000), x -> range(100000)))
--- any
SELECT list_transform(range(3000), x -> list_transform(range(3000), y -> list_transform(range(3000), z -> x * y * z)))
--- any
SELECT list_zip(range(50000000), range(50000000))[1]
--- any
SELECT len(list_resize([1], 2000000000, 0))
--- any
SELECT list_intersect(range(5000000), range(5000000))[1], list_has_any(range(5000000), [5000001])
--- any
SELECT list_cosine_similarity(range(30000000)::DOUBLE[], range(30000000)::DOUBLE[])
--- any
SELECT length(to_json(range(30000000))::VARCHAR)
--- any
SELECT length(json_pretty(to_json(range(5000000))))
--- any
SELECT json_array_length(repeat('[', 100000000))
--- any
SELECT json_valid('[' || repeat('{"a":[', 30000000))
--- any
SELECT length(json_merge_patch(repeat('{"a":', 5000000) || '1' || repeat('}', 5000000), '{"a":2}')::VARCHAR)
--- any
SELECT bit_count(repeat('1', 300000000)::BIT)
--- any
SELECT length(bitstring('1', 2000000000))
--- any
SELECT md5(repeat('x', 1500000000))
--- any
SELECT sha256(repeat(name, 30000000)) FROM {view}
--- any
SELECT length(to_base64(encode(repeat('x', 700000000))))
--- any
SELECT length(hex(repeat('x', 700000000)))
--- any
SELECT length(url_encode(repeat('%', 400000000)))
--- any
SELECT length(strftime(DATE '2020-01-01', repeat('%A %B ', 30000000)))
--- any
SELECT strptime(repeat('2020', 10000000), repeat('%Y', 10000000))
--- any
SELECT length(reverse(repeat('äöü', 150000000))), length(upper(repeat('ß', 100000000)))
--- any
SELECT length(strip_accents(repeat('é', 50000000))), nfc_normalize(repeat('e', 1000)) IS NULL
--- any
SELECT repeat('a', 100000000) LIKE repeat('%a', 50) || 'b'
--- any
SELECT position(repeat('a', 100000) || 'b' IN repeat('a', 200000000))
--- any
SELECT string_agg(repeat(name, 100000), '') FROM {view} v, range(100)
--- any
SELECT list(a.range ORDER BY hash(a.range)) FROM range(100000000) a
--- any
SELECT len(array_agg(DISTINCT a.range * 7919 % 100000007)) FROM range(100000000) a
--- any
SELECT median(hash(a.range)), mode(a.range % 50000000), quantile_cont(a.range, 0.3) FROM range(200000000) a
--- any
SELECT histogram(a.range) FROM range(50000000) a
--- any
SELECT count(*) FROM (SELECT a.range, row_number() OVER (ORDER BY hash(a.range)) AS r FROM range(200000000) a) WHERE r = 5
--- any
SELECT sum(a.range) OVER (ORDER BY a.range RANGE BETWEEN 1000000 PRECEDING AND 1000000 FOLLOWING EXCLUDE TIES) FROM range(20000000) a ORDER BY 1 LIMIT 1
--- any
SELECT median(a.range) OVER (ORDER BY a.range ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) FROM range(3000000) a ORDER BY 1 LIMIT 1
--- any
SELECT * FROM range(500000000) a ORDER BY hash(a.range) LIMIT 10 OFFSET 400000000
--- any
SELECT DISTINCT a.range * 3 % 1000000007 FROM range(1000000000) a
--- any
SELECT a.range FROM range(100000000) a EXCEPT ALL SELECT b.range * 2 FROM range(100000000) b
--- any
SELECT count(*) FROM range(3000000) a JOIN range(3000000) b ON a.range < b.range AND (a.range + b.range) % 17 = 3
--- any
SELECT count(*) FROM range(300000) a, range(300000) b WHERE levenshtein(a.range::VARCHAR, b.range::VARCHAR) = 1
--- any
SELECT count(*) FROM {view} v WHERE (SELECT count(*) FROM range(1000000000) r WHERE r.range % 3 = v.n) > 1
--- any
SELECT (SELECT max(b.range * a.range) FROM range(100000000) b WHERE b.range <> a.range) FROM range(1000) a
--- any
SELECT count(*) FROM range(100000) a, LATERAL (SELECT * FROM range(a.range * 1000000)) l
--- any
SELECT unnest(range(a.range)) FROM range(10000000) a
--- any
SELECT unnest(generate_series(1, 3000000000))
--- any
SELECT count(*) FROM generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01', INTERVAL 1 MICROSECOND) g(t)
--- any
SELECT len(range(TIMESTAMP '1900-01-01', TIMESTAMP '2900-01-01', INTERVAL 1 SECOND))
--- any
SELECT count(*) FROM repeat('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 10000000) a, repeat('y', 10000000) b
--- any
SELECT region, qty, count(*) FROM {view} v, range(20000000) r GROUP BY CUBE (region, qty, v.n, r.range)
--- any
PIVOT (SELECT a.range AS k, a.range % 3 AS c FROM range(100000000) a) ON c IN (0, 1, 2) USING list(k)
--- any
SELECT count(*) FROM {view} a1 JOIN {view} a2 ON a1.qty = a2.qty JOIN {view} a3 ON a2.qty = a3.qty JOIN {view} a4 ON a3.qty = a4.qty JOIN {view} a5 ON a4.qty = a5.qty JOIN {view} a6 ON a5.qty = a6.qty
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.region = b.region JOIN {view} c ON b.region = c.region JOIN {view} d ON c.region = d.region JOIN {view} e ON d.region = e.region JOIN {view} f ON e.region = f.region JOIN {view} g ON f.region = g.region JOIN {view} h ON g.region = h.region JOIN {view} i ON h.region = i.region JOIN {view} j ON i.region = j.region JOIN {view} k ON j.region = k.region
--- any
SELECT {times:400:SELECT_LIST + }1 FROM (SELECT a.range AS SELECT_LIST FROM range(1000000000) a) ORDER BY 1 DESC LIMIT 1
--- any
SELECT count(*) FROM {view} WHERE name NOT IN ('{times:200:x', '}x') AND (SELECT sum(hash(range)) FROM range(900000000)) > 0
--- any
SELECT 1 FROM range(10) {times:500:UNION ALL SELECT a.range FROM range(10000000) a }
--- any
SELECT max(s) FROM (SELECT 1 AS s {times:200:UNION SELECT count(*) FROM range(100000000) })
--- any
SELECT count(*) FROM (WITH c0 AS (SELECT 1 AS x FROM range(10)), c1 AS (SELECT a.x FROM c0 a, c0 b), c2 AS (SELECT a.x FROM c1 a, c1 b), c3 AS (SELECT a.x FROM c2 a, c2 b), c4 AS (SELECT a.x FROM c3 a, c3 b) SELECT * FROM c4)
--- any
SELECT x FROM (SELECT repeat('z', 1000000) AS x FROM range(1000000))
--- any
SELECT factorial(30000), 2::DOUBLE ** 1000000, gamma(1e300), exp(1e300)
--- any
SELECT (repeat('9', 40000000))::BIGNUM IS NULL
--- any
SELECT array_to_string([chr(x::INT % 1000 + 65) FOR x IN range(50000000)], ',') IS NULL
--- any
SELECT map_keys(map_from_entries([{'k': x, 'v': x} FOR x IN range(5000000)]))[1]
