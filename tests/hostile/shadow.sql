# Macros, types, tables of one's own, and common table expressions that take a name.
--- refused
CREATE MACRO md5(x) AS x
--- refused
CREATE OR REPLACE MACRO lower(x) AS 'eu'
--- refused
CREATE TEMP MACRO tarn_map(a, b) AS b
--- refused
CREATE OR REPLACE TEMP FUNCTION hash(x) AS x
--- refused
CREATE MACRO spy() AS TABLE SELECT * FROM {base}
--- refused
CREATE FUNCTION "="(a, b) AS true
--- refused
CREATE VIEW w AS SELECT * FROM {base}
--- refused
CREATE OR REPLACE VIEW {view} AS SELECT * FROM {base}
--- refused
CREATE TEMP VIEW {base} AS SELECT 1
--- refused
CREATE TABLE mine AS SELECT * FROM {view}
--- refused
CREATE TEMP TABLE {other} AS SELECT range AS id FROM range(1000)
--- refused
CREATE OR REPLACE TABLE {base} AS SELECT 1 AS n
--- refused
CREATE TABLE IF NOT EXISTS x (a INTEGER DEFAULT (random()))
--- refused
CREATE SCHEMA raw
--- refused
CREATE SEQUENCE s START 5
--- refused
CREATE TYPE region AS ENUM ('EU')
--- refused
CREATE TYPE m AS ENUM (SELECT phone FROM {base})
--- refused
CREATE UNIQUE INDEX i ON {base} (n)
--- refused
CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET 'y')
--- refused
DROP VIEW {view}
--- refused
DROP TABLE IF EXISTS {base} CASCADE
--- refused
ALTER TABLE {base} DROP COLUMN closed_at
--- refused
ALTER VIEW {view} RENAME TO {base}
--- refused
ALTER TABLE {view} ADD COLUMN phone VARCHAR
--- refused
COMMENT ON VIEW {view} IS 'x'
--- refused
INSERT INTO {other} SELECT id FROM {view}
--- refused
INSERT INTO {view} (n) VALUES (1)
--- refused
INSERT INTO {base} BY NAME SELECT * FROM {view}
--- refused
UPDATE {view} SET region = 'EU'
--- refused
UPDATE {base} SET region = 'EU' WHERE n = {hid} RETURNING *
--- refused
DELETE FROM {other}
--- refused
DELETE FROM {view} WHERE n = {vis} RETURNING phone
--- refused
MERGE INTO {base} USING {view} USING (n) WHEN MATCHED THEN UPDATE RETURNING *
--- refused
TRUNCATE {base}
--- refused
WITH d AS (DELETE FROM {base} RETURNING phone) SELECT * FROM d
--- refused
WITH i AS (INSERT INTO {other} VALUES (1) RETURNING id) FROM i
--- refused
SELECT * INTO stolen FROM {view}
--- refused
WITH a AS (SELECT phone FROM {base}), {base} AS (SELECT 1 AS phone) SELECT * FROM a
--- refused
WITH {base} AS (SELECT phone FROM {base}) SELECT * FROM {base}
--- refused
WITH {base} AS (SELECT 1 AS phone) SELECT phone FROM main.{base}
--- refused
WITH {base} AS (SELECT 1 AS phone) SELECT phone FROM memory.main.{base}
--- refused
SELECT (WITH {base} AS (SELECT 1) SELECT 1), count(*) FROM {base}
--- refused
SELECT * FROM (WITH {base} AS (SELECT 1 AS n) SELECT n FROM {base}) x JOIN {base} b ON true
--- refused
(WITH {base} AS (SELECT 1 AS n) SELECT n FROM {base}) UNION ALL SELECT n FROM {base}
--- refused
SELECT n FROM {base} UNION ALL (WITH {base} AS (SELECT 1 AS n) FROM {base})
--- refused
WITH a AS (WITH {base} AS (SELECT 1 AS n) FROM {base}) SELECT b.n FROM a, {base} b
--- refused
WITH RECURSIVE {base} AS (SELECT phone FROM {base} UNION ALL SELECT 'x') SELECT * FROM {base}
--- refused
WITH RECURSIVE r AS (SELECT n FROM {base} UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r
--- refused
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT b.n FROM r JOIN {base} b ON b.n = r.n + 1) FROM r
--- refused
WITH RECURSIVE {base}(n) USING KEY (n) AS (SELECT 1 UNION SELECT n FROM recurring.{base}) FROM recurring.{base}
--- refused
WITH x AS (SELECT 1 AS n) SELECT * FROM recurring.x
--- refused
WITH {view} AS (SELECT * FROM {base}) SELECT * FROM {view}
--- refused
WITH {view} AS MATERIALIZED (SELECT phone AS name FROM {base}) SELECT name FROM {view}
--- refused
WITH a AS (FROM b), b AS (FROM c), c AS (FROM {base}) FROM a
--- refused
WITH a AS (SELECT (SELECT max(phone) FROM {base}) AS p) SELECT 1 FROM {view}
--- refused
WITH unused AS (SELECT * FROM {base} WHERE secret > 5) SELECT n FROM {view}
--- refused
WITH "information_schema.tables" AS (SELECT 1) SELECT * FROM information_schema.tables
--- refused
WITH duckdb_tables AS (SELECT 1 AS x) SELECT * FROM duckdb_tables()
--- refused
WITH read_text AS (SELECT 'a' AS content) SELECT * FROM read_text('/etc/passwd')
--- refused
WITH sqlite_master AS (SELECT 1) SELECT * FROM main.sqlite_master
--- refused
SELECT * FROM {view} AS x(phone) WHERE EXISTS (SELECT 1 FROM {base} WHERE phone = x.phone)
--- refused
WITH t AS (SELECT 1) SELECT * FROM t AT (VERSION => 1)
--- refused
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n FROM t AT (VERSION => 1)) FROM t
--- ok
WITH {base} AS (SELECT n, name FROM {view}) SELECT count(*) FROM {base}
--- ok
WITH {view} AS (SELECT n, 'masked twice' AS name FROM {view}) SELECT name, n FROM {view}
--- ok
WITH a AS (SELECT n FROM {view}), {base} AS (SELECT n + 1 AS n FROM a) SELECT a.n FROM a JOIN {base} USING (n)
--- ok
SELECT * FROM (WITH {other} AS (SELECT 5 AS id) SELECT id FROM {other}) x
--- ok
WITH RECURSIVE {base}(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {base} WHERE n < 4) SELECT n FROM {base}
--- ok
WITH hash AS (SELECT n FROM {view}), lower AS (FROM hash) SELECT count(*) FROM lower
--- ok
WITH email AS (SELECT email FROM {view}) SELECT count(DISTINCT email.email) FROM email
--- any
WITH RECURSIVE w(n) USING KEY (n) AS (SELECT n FROM {view} WHERE n < 5 UNION SELECT w.n + 1 FROM w WHERE w.n < 9) SELECT * FROM w
