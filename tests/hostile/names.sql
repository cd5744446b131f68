# Names of the base, of another dataset and of another role's view, in every spelling.
--- refused
SELECT * FROM {base}
--- refused
SELECT name FROM main.{base} LIMIT 3
--- refused
SELECT count(*) FROM memory.main.{base}
--- refused
SELECT "{base}"."phone" FROM "{base}"
--- refused
SELECT max(secret) FROM "main"."{base}"
--- refused
FROM {base}
--- refused
FROM {base} SELECT phone
--- refused
TABLE {base}
--- refused
(TABLE main.{base}) UNION ALL (TABLE {base})
--- refused
SELECT name FROM {BASE}
--- refused
SELECT name FROM MAIN.{BASE}
--- refused
SELECT b.* FROM/**/{base}/**/AS/**/b
--- refused
SELECT /* {view} */ phone FROM -- {view}
{base}
--- refused
SELECT phone FROM {view} JOIN {base} USING (n)
--- refused
SELECT v.n, b.phone FROM {view} v, {base} b WHERE v.n = b.n
--- refused
SELECT n, (SELECT phone FROM {base} b WHERE b.n = v.n) AS p FROM {view} v
--- refused
SELECT n FROM {view} v WHERE EXISTS (FROM {base} b WHERE b.email LIKE '%g%' AND b.n = v.n)
--- refused
SELECT n FROM {view} WHERE salary IN (SELECT salary FROM {base})
--- refused
SELECT n FROM {view} WHERE n > ALL (SELECT n FROM {base})
--- refused
SELECT * FROM {view} UNION BY NAME SELECT * FROM {base}
--- refused
SELECT n, name FROM {base} EXCEPT SELECT n, name FROM {view}
--- refused
SELECT n FROM {view} INTERSECT ALL SELECT n FROM {base}
--- refused
SELECT l.phone FROM {view} v, LATERAL (SELECT phone FROM {base} WHERE n = v.n) l
--- refused
SELECT * FROM {view} POSITIONAL JOIN {base}
--- refused
SELECT * FROM {view} ASOF JOIN {base} USING (region, n)
--- refused
SELECT * FROM {view} v SEMI JOIN {base} b ON v.n = b.n + 1
--- refused
SELECT * FROM {base} ANTI JOIN {view} USING (n)
--- refused
SELECT * FROM {base} NATURAL JOIN {view}
--- refused
SELECT v.n FROM {view} v FULL JOIN {base} b ON v.name = b.name WHERE v.n IS NULL
--- refused
SELECT (FROM {base} SELECT list(phone))
--- refused
SELECT ARRAY(SELECT secret FROM {base})
--- refused
SELECT n FROM {view} ORDER BY (SELECT max(secret) FROM {base})
--- refused
SELECT n FROM {view} LIMIT (SELECT count(*) FROM {base})
--- refused
SELECT n FROM {view} OFFSET (SELECT min(n) FROM {base} WHERE region <> 'EU')
--- refused
SELECT region, count(*) FROM {view} GROUP BY region HAVING count(*) > (SELECT count(*) FROM {base}) / 10
--- refused
SELECT n FROM {view} QUALIFY row_number() OVER (ORDER BY n) = (SELECT count(*) FROM {base} WHERE qty > 3)
--- refused
SELECT sum(qty) FILTER (WHERE n IN (SELECT n FROM {base})) FROM {view}
--- refused
SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN (SELECT count(*) FROM {base}) PRECEDING AND CURRENT ROW) FROM {view}
--- refused
SELECT CASE WHEN (SELECT count(*) FROM {base} WHERE salary > 500000000000000) > 10 THEN 'many' ELSE 'few' END
--- refused
SELECT list_transform([1, 2], x -> x + (SELECT count(*) FROM {base}))
--- refused
VALUES ((SELECT phone FROM {base} LIMIT 1))
--- refused
SELECT * FROM (VALUES (1), ((SELECT count(*) FROM {base}))) t(x)
--- refused
SELECT DISTINCT ON (region) region, phone FROM {base} ORDER BY region
--- refused
SELECT * FROM {other}
--- refused
SELECT count(*) FROM {view} WHERE id IN (SELECT id FROM {other})
--- refused
SELECT * FROM {other_view}
--- refused
SELECT v.n FROM {view} v JOIN {other_view} o ON o.email = v.email
--- refused
SELECT * FROM "{OTHER_VIEW}"
--- refused
SELECT phone FROM {view}
--- refused
SELECT {view}.secret FROM {view}
--- refused
SELECT v."closed_at" FROM {view} AS v
--- refused
SELECT n FROM {view} WHERE phone IS NOT NULL
--- refused
SELECT n FROM {view} ORDER BY secret DESC
--- refused
SELECT count(DISTINCT phone) FROM {view} GROUP BY region
--- refused
SELECT {view} . phone FROM {view}
--- refused
SELECT main.{view}.phone FROM {view}
--- refused
SELECT {base}.phone FROM {view}
--- refused
SELECT {base}.name FROM {view} AS {base}, (SELECT {base}.phone) x
--- refused
SELECT v.phone FROM {view} v(n, id, name, region, qty, note)
--- refused
SELECT * FROM {view} v JOIN {view} w USING (phone)
--- refused
SELECT * FROM{u:00A0}{base}
--- refused
SELECT{u:2003}phone{u:2003}FROM{u:2003}{base}
--- refused
SELECT * FROM{u:3000}{base}{u:3000}WHERE n < 9
--- refused
SELECT * FROM {base}{u:200B}
--- refused
SELECT * FROM {u:200B}{base}
--- refused
SELECT * FROM {u:FEFF}{base}
--- refused
{u:FEFF}SELECT * FROM {base}
--- refused
SELECT * FROM "{base}{u:0000}"
--- refused
SELECT * FROM {base}{u:00AD}
--- refused
SELECT * FROM {u:202E}{base}
--- refused
SELECT * FROM {FULLWIDTH_BASE}
--- refused
SELECT * FROM main{u:FF0E}{base}
--- refused
SELECT * FROM {u:FF42}ase
--- refused
SELECT * FROM {base}{u:0301}
--- refused
SELECT phone{u:0000} FROM {view}
--- refused
SELECT * FROM "{base}" "{view}"
--- refused
SELECT * FROM {base} {view}, {view} {base}
--- refused
SELECT * FROM ((({base})))
--- refused
SELECT * FROM ({view} CROSS JOIN {base})
--- refused
SELECT * FROM (FROM (FROM (FROM {base})))
--- refused
SELECT * FROM primary.{base}
--- refused
SELECT * FROM raw.{base}
--- refused
SELECT * FROM temp.{base}
--- refused
SELECT * FROM "main.{base}"
--- refused
SELECT * FROM "memory"."main"."{view}"
--- refused
SELECT * FROM {view}.{base}
--- refused
SELECT * FROM {base}.{view}
--- refused
SELECT * FROM system.{base}
--- refused
SELECT * FROM U&"{base}"
--- refused
SELECT * FROM `{base}`
--- refused
SELECT * FROM [{base}]
--- refused
SELECT * FROM '{base}'
--- refused
SELECT * FROM E'{base}'
--- refused
SELECT * FROM $${base}$$
--- refused
SELECT * FROM {view}; SELECT * FROM {base}
--- refused
PIVOT {base} ON region IN ('EU', 'US') USING first(phone) GROUP BY n
--- refused
UNPIVOT {base} ON phone, email INTO NAME what VALUE much
--- refused
SELECT * FROM {base} TABLESAMPLE 5 ROWS
--- refused
SELECT * FROM {base} USING SAMPLE 10%
--- ok
SELECT {view}.n, main.{view}.name FROM main.{view} WHERE {view}.qty > 1
--- ok
SELECT "n" FROM "{VIEW}" WHERE "REGION" = 'EU'
--- ok
SELECT {base}.n FROM {view} AS {base}
--- ok
WITH {base} AS (SELECT 'mine' AS phone) SELECT phone FROM {base}
--- any
SELECT email AS phone, ssn AS secret FROM {view} ORDER BY phone, secret
