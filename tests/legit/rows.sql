# Selecting, filtering, ordering, cutting; text, numbers, dates.
--- ok
SELECT * FROM {view}
--- ok
FROM {view}
--- ok
TABLE {view}
--- ok ordered
SELECT n, name FROM {view} ORDER BY n
--- ok ordered
SELECT n, name, region FROM {view} ORDER BY region NULLS FIRST, name DESC, n LIMIT 20
--- ok ordered
SELECT n FROM {view} ORDER BY n DESC LIMIT 5 OFFSET 10
--- ok ordered
SELECT n FROM {view} ORDER BY qty, n LIMIT 10%
--- ok
SELECT DISTINCT region, qty FROM {view}
--- ok ordered
SELECT DISTINCT ON (region) region, n, name FROM {view} ORDER BY region, n
--- ok
SELECT n AS number, name || ' (' || coalesce(region, '-') || ')' AS label FROM {view}
--- ok
SELECT * EXCLUDE (note, tags) FROM {view} WHERE region = 'EU'
--- ok
SELECT * REPLACE (upper(name) AS name) FROM {view} WHERE qty BETWEEN 2 AND 5
--- ok
SELECT COLUMNS('n|name|qty') FROM {view}
--- ok
SELECT n FROM {view} WHERE region IN ('EU', 'US') AND NOT qty = 3
--- ok
SELECT n FROM {view} WHERE region IS NULL OR region NOT IN ('EU', 'AP')
--- ok
SELECT n FROM {view} WHERE name LIKE 'g%' OR name ILIKE '%K' OR note SIMILAR TO 'open g.*'
--- ok
SELECT n FROM {view} WHERE name ~ '^[g-m]' AND regexp_matches(note, '(open|shut)')
--- ok
SELECT n, name FROM {view} WHERE starts_with(name, 'h') OR contains(name, 'zz') OR ends_with(name, 't')
--- ok
SELECT n FROM {view} WHERE (region, qty) IN (('EU', 1), ('US', 2), ('AP', 3))
--- ok
SELECT n FROM {view} WHERE salary IS NULL AND bonus = 0
--- ok
SELECT n, CASE WHEN qty < 3 THEN 'low' WHEN qty < 7 THEN 'mid' ELSE 'high' END AS band FROM {view}
--- ok
SELECT n, CASE region WHEN 'EU' THEN 1 WHEN 'US' THEN 2 END AS code FROM {view}
--- ok
SELECT n, coalesce(region, 'none'), nullif(qty, 0), ifnull(salary, -1), greatest(qty, 4), least(price, 10.0) FROM {view}
--- ok
SELECT n, upper(name), lower(note), length(name), reverse(name), left(name, 3), right(name, 2) FROM {view}
--- ok
SELECT n, substring(name FROM 2 FOR 4), position('g' IN name), replace(note, 'open', 'OPEN'), translate(name, 'gh', 'GH') FROM {view}
--- ok
SELECT n, split_part(note, ' ', 1), string_split(note, ' '), concat_ws('-', region, qty), lpad(n::VARCHAR, 5, '0') FROM {view}
--- ok
SELECT n, regexp_extract(note, '^(\w+)', 1), regexp_replace(name, '[gk]', '*', 'g'), trim(both 'g' FROM name) FROM {view}
--- ok
SELECT n, printf('%05d|%s', n, region), format('{:>8}', qty), repeat('*', qty), name[1:3], name[-2:] FROM {view}
--- ok
SELECT n, md5(name), sha256(note), hash(n) IS NOT NULL, to_base64(encode(name)), hex(region) FROM {view}
--- ok
SELECT n, levenshtein(name, note), jaccard(name, note), starts_with(note, 'open'), ascii(name), chr(65 + qty) FROM {view}
--- ok
SELECT n, qty + 1, qty - 1, qty * 2.5, qty / 4, qty // 3, qty % 3, -qty, qty ** 2, abs(qty - 5), sign(qty - 5) FROM {view}
--- ok
SELECT n, round(price, 1), floor(price), ceil(price), trunc(price), sqrt(price), ln(price + 1), price::INTEGER FROM {view}
--- ok
SELECT n, qty & 3, qty | 8, xor(qty, 5), qty << 2, bit_count(qty), gcd(qty, 6), lcm(qty + 1, 4), factorial(qty % 6) FROM {view}
--- ok
SELECT n, id % 1000, id // 1000000, id::VARCHAR, id::DOUBLE FROM {view}
--- ok
SELECT n, born, year(born), month(born), dayname(born), date_trunc('quarter', born), last_day(born) FROM {view}
--- ok
SELECT n, extract(doy FROM born), date_part('week', born), date_diff('day', born, DATE '2024-01-01'), born + INTERVAL 3 MONTH FROM {view}
--- ok
SELECT n, strftime(born, '%d.%m.%Y'), strptime(born::VARCHAR, '%Y-%m-%d'), born - 30, age(TIMESTAMP '2024-01-01', born::TIMESTAMP) FROM {view}
--- ok
SELECT n, seen, date_trunc('year', seen), seen::DATE, seen + INTERVAL '1 day', epoch(seen), time_bucket(INTERVAL 3 MONTH, seen) FROM {view}
--- ok
SELECT n FROM {view} WHERE born >= DATE '1980-01-01' AND born < DATE '1990-01-01' AND seen > TIMESTAMP '2010-01-01'
--- ok
SELECT n, make_date(2000 + qty, 1 + qty, 1), make_timestamp(2000 + qty, 2, 3, 4, 5, 6.5), to_timestamp(n), epoch_ms(n::BIGINT * 1000) FROM {view}
--- ok
SELECT n, born::VARCHAR, price::VARCHAR, TRY_CAST(name AS INTEGER), TRY_CAST(left(note, 2) AS DATE), TRY(1 / (qty - 3)) FROM {view}
--- ok
SELECT n, email, ssn, card, code, team FROM {view}
--- ok
SELECT n FROM {view} WHERE card LIKE '******%' AND length(ssn) > 0 AND email IS NOT NULL
--- ok
SELECT n FROM {view} v WHERE v.qty > 4 AND v.name IS NOT NULL
--- ok
SELECT typeof(n), typeof(name), typeof(tags), typeof(dims), typeof(seen), typeof(email) FROM {view} LIMIT 1
--- ok own
SELECT count(*) FROM {view} WHERE born < current_date AND now() > TIMESTAMP '2020-01-01'
--- ok own
SELECT n, random() < 2, uuid() IS NOT NULL FROM {view} WHERE n < 50
--- ok own
SELECT n FROM {view} TABLESAMPLE 50%
--- ok own
SELECT n, name FROM {view} USING SAMPLE reservoir(5 ROWS) REPEATABLE (3)
--- ok
SELECT main.{view}.n, "{view}"."name" FROM main."{view}"
--- ok
SELECT /* a comment */ n -- and one more
FROM {view} WHERE name <> '-- no comment' AND note <> '/* nor this */'
--- ok
SELECT 'ünïcödé 日本' AS t, n AS "größe" FROM {view} WHERE name <> 'žluťoučký'
--- ok
SELECT name COLLATE nocase AS a, n FROM {view} WHERE name COLLATE nocase <> 'X'
