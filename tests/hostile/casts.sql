# Expressions that throw on some rows, put wherever the optimizer might run them before a row filter
# or on a true value: what a cast quotes must be a value that is shown.
--- any
SELECT count(*) FROM {view} WHERE (CASE WHEN n = {hid} THEN name || note ELSE '00000000-0000-0000-0000-000000000000' END)::UUID IS NOT NULL
--- any
SELECT n FROM {view} WHERE (CASE WHEN n = {hid} THEN concat_ws('|', id, name, note, qty) ELSE '1' END)::HUGEINT > 0
--- any
SELECT max(CASE WHEN n = {hid} THEN name ELSE '1' END::INTEGER) FROM {view}
--- any
SELECT n FROM {view} WHERE chr(CASE WHEN n = {hid} THEN 2000000000 ELSE 65 END) = 'A'
--- any
SELECT count(*) FROM {view} WHERE chr(CASE WHEN n = {hid} AND name LIKE 'g%' THEN -1 ELSE 66 END) <> ''
--- any
SELECT a.n FROM {view} a JOIN {view} b ON (CASE WHEN a.n = {hid} THEN a.name ELSE b.n::VARCHAR END)::INTEGER = b.n
--- any
SELECT count(*) FROM {view} a JOIN {view} b ON a.n = b.n AND (CASE WHEN b.n = {hid} THEN b.note ELSE '1' END)::BIGINT = 1
--- any
SELECT a.n FROM {view} a, {view} b WHERE a.n = b.n + 1 AND (a.name || b.name)::UUID IS NULL
--- any
SELECT a.n FROM {view} a LEFT JOIN {view} b ON a.n = b.n WHERE coalesce(b.name, '1')::INT > 0
--- any
SELECT a.n FROM {view} a ASOF JOIN {view} b ON a.region = b.region AND a.n >= b.n WHERE (b.name)::DATE IS NULL
--- any
SELECT name::INTEGER FROM {view}
--- any
SELECT note::TIMESTAMP FROM {view} ORDER BY n
--- any
SELECT email::BIGINT, n FROM {view} WHERE n = {vis}
--- any
SELECT ssn::UUID FROM {view} WHERE n = {vis}
--- any
SELECT card::DECIMAL(18, 3) FROM {view}
--- any
SELECT code::INTERVAL FROM {view}
--- any
SELECT (salary::VARCHAR || 'x')::INT FROM {view}
--- any
SELECT (bonus::VARCHAR || 'y')::INT FROM {view}
--- any
SELECT (seen::VARCHAR)::UUID FROM {view} LIMIT 1
--- any
SELECT v::VARCHAR::UUID FROM {view} v
--- any
SELECT (v::VARCHAR)::INTEGER FROM {view} v WHERE n = {hid}
--- any
SELECT to_json(v)::VARCHAR::UUID FROM {view} v LIMIT 1
--- any
SELECT struct_pack(a := name, b := email)::VARCHAR::INT FROM {view}
--- any
SELECT tags::INTEGER[] FROM {view}
--- any
SELECT dims::STRUCT(w INTEGER, s INTEGER) FROM {view}
--- any
SELECT dims.s::UUID FROM {view} WHERE dims.w > 3
--- any
SELECT tags[1]::BIT FROM {view}
--- any
SELECT unnest(tags)::UUID FROM {view}
--- any
SELECT list_transform(tags, x -> x::INTEGER) FROM {view}
--- any
SELECT n FROM {view} WHERE len(list_filter(tags, x -> x::UUID IS NOT NULL)) > 0
--- any
SELECT n FROM {view} WHERE len(list_filter([n], x -> (CASE WHEN x = {hid} THEN name ELSE '1' END)::INT = 1)) = 1
--- any
SELECT list_reduce(tags, (a, b) -> (a || b)::INT::VARCHAR) FROM {view}
--- any
SELECT [x::DATE FOR x IN tags IF x <> 'red'] FROM {view}
--- any
SELECT region, sum(name::INT) FROM {view} GROUP BY region
--- any
SELECT region FROM {view} GROUP BY region HAVING max(name)::INT > 0
--- any
SELECT region FROM {view} GROUP BY region HAVING min(note)::UUID IS NOT NULL OR max(n) > 5
--- any
SELECT string_agg(name, ',')::INTEGER FROM {view}
--- any
SELECT list(name ORDER BY n)::INTEGER[] FROM {view}
--- any
SELECT arg_max(name, n)::INT, arg_min(note, n)::UUID FROM {view}
--- any
SELECT first(name ORDER BY n DESC)::TIME FROM {view}
--- any
SELECT n, lag(name, 1, 'x') OVER (ORDER BY n)::INT FROM {view}
--- any
SELECT n FROM {view} QUALIFY first_value(name) OVER (ORDER BY n)::UUID IS NULL
--- any
SELECT n, sum(name::INT) OVER (PARTITION BY region) FROM {view}
--- any
SELECT n, count(*) FILTER (WHERE name::INT > 0) OVER () FROM {view}
--- any
SELECT n FROM {view} ORDER BY (CASE WHEN n = {hid} THEN name ELSE n::VARCHAR END)::INT
--- any
SELECT n FROM {view} ORDER BY (name)::UUID LIMIT 1
--- any
SELECT DISTINCT ON ((note)::DATE) n FROM {view}
--- any
SELECT n FROM {view} LIMIT (SELECT max(name)::BIGINT FROM {view})
--- any
SELECT n FROM {view} v, LATERAL (SELECT v.name::INT AS x WHERE v.n = {hid}) l
--- any
SELECT n, l.x FROM {view} v, LATERAL (SELECT (CASE WHEN v.n = {hid} THEN v.name ELSE '7' END)::INT AS x) l
--- any
SELECT n, (SELECT (CASE WHEN v.n = {hid} THEN v.note ELSE '7' END)::INT) FROM {view} v
--- any
SELECT n FROM {view} v WHERE EXISTS (SELECT 1 FROM {view} w WHERE w.name::INT = v.n)
--- any
SELECT n FROM {view} v WHERE n IN (SELECT name::INT FROM {view})
--- any
SELECT n FROM {view} v WHERE (n, '1') IN (SELECT n, (CASE WHEN n = {hid} THEN name ELSE '1' END)::INT::VARCHAR FROM {view})
--- any
SELECT n FROM {view} WHERE n NOT IN (SELECT (CASE WHEN n = {hid} THEN name ELSE '0' END)::INT FROM {view})
--- any
SELECT n FROM {view} WHERE n > ANY (SELECT (dims.s)::INT FROM {view})
--- any
SELECT TRY(name::INT) AS x, TRY_CAST(note AS DATE) AS y FROM {view}
--- any
SELECT n FROM {view} WHERE TRY((CASE WHEN n = {hid} THEN name ELSE '5' END)::INT) = 5
--- any
SELECT count(TRY(name::UUID)), count(TRY_CAST(email AS UUID)) FROM {view}
--- any
SELECT strptime(name, '%Y-%m-%d') FROM {view}
--- any
SELECT strptime(CASE WHEN n = {hid} THEN note ELSE '2020' END, '%Y') FROM {view}
--- any
SELECT n FROM {view} WHERE strptime(email, '%d') IS NULL
--- any
SELECT strftime(born, name) FROM {view}
--- any
SELECT date_trunc(name, born) FROM {view}
--- any
SELECT date_part(region, born), n FROM {view} WHERE n = {vis}
--- any
SELECT date_diff(note, born, born) FROM {view}
--- any
SELECT born AT TIME ZONE name FROM {view}
--- any
SELECT timezone(name, seen) FROM {view}
--- any
SELECT make_date(n, n, n) FROM {view}
--- any
SELECT make_timestamp(id * 1000, 13, 40, 25, 61, 61.0) FROM {view}
--- any
SELECT born + CAST(name AS INTERVAL) FROM {view}
--- any
SELECT epoch_ms(id * id) FROM {view}
--- any
SELECT to_timestamp(id::DOUBLE * 1e10) FROM {view}
--- any
SELECT '{"a":1}'::JSON -> name FROM {view}
--- any
SELECT json_extract(name, '$.a') FROM {view}
--- any
SELECT json_extract('{}', name || '[[') FROM {view}
--- any
SELECT name::JSON FROM {view}
--- any
SELECT json_transform_strict(to_json(v), '{"name":"INTEGER"}') FROM {view} v
--- any
SELECT from_json_strict(to_json(v), '{"note":"DATE"}') FROM {view} v WHERE n = {hid} OR n = {vis}
--- any
SELECT json_structure(name) FROM {view}
--- any
SELECT json_merge_patch(note, email) FROM {view}
--- any
SELECT json_array_length(name), json_keys(note) FROM {view}
--- any
SELECT decode(encode(name) || '\xFF'::BLOB) FROM {view}
--- any
SELECT from_hex(name), unhex(note) FROM {view}
--- any
SELECT from_base64(name) FROM {view}
--- any
SELECT unbin(email), from_binary(ssn) FROM {view}
--- any
SELECT url_decode('%GG' || name) FROM {view}
--- any
SELECT regexp_matches('a', name || '(') FROM {view}
--- any
SELECT regexp_replace(name, '(', note) FROM {view}
--- any
SELECT regexp_extract(note, '(' || CASE WHEN n = {hid} THEN name ELSE ')' END) FROM {view}
--- any
SELECT name ~ ('[' || email) FROM {view}
--- any
SELECT name LIKE 'a' ESCAPE name FROM {view}
--- any
SELECT format(name || '{', n) FROM {view}
--- any
SELECT printf(name || '%n%s', n) FROM {view}
--- any
SELECT format('{:d}', name) FROM {view}
--- any
SELECT repeat(name, 2) || '' COLLATE nocase FROM {view} ORDER BY 1
--- any
SELECT substring(name, id, id) FROM {view}
--- any
SELECT n // (n - {hid}), n % (n - {vis}) FROM {view}
--- any
SELECT 1 / (CASE WHEN n = {hid} THEN 0 ELSE 1 END) FROM {view}
--- any
SELECT id * id * id FROM {view}
--- any
SELECT (id * (CASE WHEN n = {hid} THEN 1000000000 ELSE 1 END)) FROM {view}
--- any
SELECT sum(id * 100000) FROM {view}
--- any
SELECT factorial(n), gamma(n), lgamma(-n) FROM {view} WHERE n < 40
--- any
SELECT sqrt(-n), ln(n - {hid}), log(0 * n), acos(n) FROM {view}
--- any
SELECT id::TINYINT FROM {view}
--- any
SELECT (id::DOUBLE * 1e300)::INTEGER FROM {view}
--- any
SELECT CAST(id AS UTINYINT), CAST(-n AS UBIGINT) FROM {view}
--- any
SELECT id::DECIMAL(4, 1) FROM {view} WHERE n <> 3
--- any
SELECT n << 70, 1::BIGINT << n, set_bit('101'::BIT, n, 1) FROM {view}
--- any
SELECT bitstring('1', -n), get_bit('1'::BIT, n) FROM {view}
--- any
SELECT (note || name)::ENUM('a', 'b') FROM {view}
--- any
SELECT name::VARCHAR::ENUM('x') FROM {view} WHERE n = {hid}
--- any
SELECT enum_code(region::ENUM('EU')) FROM {view}
--- any
SELECT union_extract(union_value(a := name), 'b') FROM {view}
--- any
SELECT (name)::UNION(i INTEGER, d DATE) FROM {view}
--- any
SELECT map([name, name], [1, 2]) FROM {view}
--- any
SELECT map_from_entries([{'k': name, 'v': 1}, {'k': name, 'v': 2}]) FROM {view}
--- any
SELECT MAP {NULL: name} FROM {view}
--- any
SELECT array_value(name)::INT[3] FROM {view}
--- any
SELECT tags::VARCHAR[5] FROM {view}
--- any
SELECT array_distance(tags::FLOAT[2], [1, 2]::FLOAT[2]) FROM {view}
--- any
SELECT list_zip(tags, [name::INT]) FROM {view}
--- any
SELECT list_resize(tags, id) FROM {view} WHERE n < 3
--- any
SELECT struct_extract(dims, name) FROM {view}
--- any
SELECT dims[name] FROM {view}
--- any
SELECT (SELECT name FROM {view})
--- any
SELECT (SELECT v.name FROM {view} v WHERE v.n > w.n) FROM {view} w
--- any
SELECT n = (SELECT n FROM {view} WHERE region = 'EU') FROM {view}
--- any
SELECT * FROM range((SELECT max(name)::BIGINT FROM {view}))
--- any
SELECT * FROM generate_series(1, (SELECT (CASE WHEN max(n) > 0 THEN max(name) ELSE '3' END)::BIGINT FROM {view}))
--- any
SELECT * FROM json_each((SELECT name FROM {view} ORDER BY n LIMIT 1))
--- any
SELECT * FROM unnest((SELECT list(name)::INT[] FROM {view}))
--- any
SELECT x.* FROM {view} v, json_each(v.note) x
--- any
WITH m AS MATERIALIZED (SELECT n, name FROM {view}) SELECT name::INT FROM m WHERE n = {hid}
--- any
WITH m AS NOT MATERIALIZED (SELECT n, name AS x FROM {view}) SELECT count(*) FROM m WHERE x::UUID IS NOT NULL
--- any
WITH RECURSIVE r AS (SELECT 1 AS n, 'x' AS s UNION ALL SELECT r.n + 1, v.name::INT::VARCHAR FROM r JOIN {view} v ON v.n = r.n) SELECT * FROM r
--- any
SELECT name::INT FROM {view} UNION ALL SELECT n FROM {view}
--- any
SELECT n FROM {view} UNION SELECT name FROM {view} ORDER BY 1 LIMIT 3
--- any
SELECT * FROM (SELECT n, name FROM {view}) PIVOT (max(name::INT) FOR n IN ({hid}, {vis}))
--- any
UNPIVOT (SELECT n, name::INT AS a, note::INT AS b FROM {view}) ON a, b
--- any
SELECT COLUMNS(*)::INTEGER FROM {view}
--- any
SELECT COLUMNS('e.*')::UUID FROM {view}
--- any
SELECT * REPLACE (name::INT AS n) FROM {view}
--- any
SELECT greatest(name, n) FROM {view}
--- any
SELECT coalesce(salary, name::BIGINT) FROM {view}
--- any
SELECT nullif(name::INT, bonus) FROM {view}
--- any
SELECT CASE name::INT WHEN 1 THEN 2 END FROM {view}
--- any
SELECT CASE WHEN salary IS NULL THEN (email || ssn)::INT END FROM {view}
--- any
SELECT n FROM {view} WHERE (name = 'x') = note::BOOLEAN
--- any
SELECT n FROM {view} WHERE n BETWEEN name::INT AND 5
--- any
SELECT n FROM {view} WHERE qty IN (name::INT, 3)
--- any
SELECT n FROM {view} WHERE NOT (region = 'EU') AND name::INT = 1
--- any
SELECT n FROM {view} WHERE region <> 'EU' AND (note)::UUID IS NOT NULL
--- any
SELECT n FROM {view} WHERE region IS DISTINCT FROM 'EU' OR chr(qty - 100) = 'x'
--- any
SELECT n FROM {view} WHERE lower(region) <> 'eu' AND strptime(name, '%H') > now()
--- any
SELECT count(*) FROM {view} v JOIN (SELECT id FROM {view} WHERE name::UUID IS NOT NULL) w USING (id)
--- any
SELECT count(*) FROM {view} v JOIN (VALUES ({hid})) t(k) ON t.k = v.n AND v.name::INT = 1
--- any
SELECT count(*) FROM (VALUES ({hid}), ({vis})) t(k) LEFT JOIN {view} v ON t.k = v.n WHERE coalesce(v.note, '1')::INT = 1
--- any
SELECT approx_quantile(name::INT, 0.5), quantile_cont(note::DOUBLE, 0.5) FROM {view}
--- any
SELECT histogram(name::INT), mode(note::DATE), median(name::DOUBLE) FROM {view}
--- any
SELECT bitstring_agg(id) FROM {view}
--- any
SELECT bitstring_agg(qty, {hid}, {hid}) FROM {view}
