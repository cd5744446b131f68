# Statements about statements: of hidden names refused, of the view without a word of what is hidden.
--- refused
DESCRIBE {base}
--- refused
DESC main.{base}
--- refused
DESCRIBE SELECT * FROM {base}
--- refused
DESCRIBE TABLE {base}
--- refused
SHOW {base}
--- refused
SUMMARIZE {base}
--- refused
SUMMARIZE SELECT phone FROM {base}
--- refused
SUMMARIZE TABLE {other_view}
--- refused
DESCRIBE {other_view}
--- refused
SELECT * FROM (DESCRIBE {base})
--- refused
SELECT column_name FROM (DESCRIBE {other})
--- refused
SELECT min, max FROM (SUMMARIZE {base})
--- refused
SELECT * FROM (SUMMARIZE SELECT secret FROM {base}) s
--- refused
WITH d AS (FROM (DESCRIBE {base})) SELECT * FROM d
--- refused
WITH {base} AS (SELECT phone FROM {base}) SELECT * FROM (DESCRIBE {base})
--- refused
SELECT n FROM {view} WHERE name IN (SELECT column_name FROM (DESCRIBE {base}))
--- refused
EXPLAIN SELECT * FROM {base}
--- refused
EXPLAIN ANALYZE SELECT phone FROM {base}
--- refused
EXPLAIN (FORMAT json) SELECT * FROM {other}
--- refused
EXPLAIN SELECT phone FROM {view}
--- refused
EXPLAIN DELETE FROM {base}
--- refused
EXPLAIN CREATE TABLE x AS SELECT * FROM {view}
--- refused
EXPLAIN COPY {view} TO '/tmp/x.csv'
--- refused
EXPLAIN PRAGMA database_list
--- refused
EXPLAIN SET threads = 1
--- refused
EXPLAIN SELECT stats(name) FROM {view}
--- refused
EXPLAIN SELECT * FROM query('FROM {base}')
--- refused
EXPLAIN EXPLAIN SELECT 1 FROM {base}
--- refused
DESCRIBE DESCRIBE {base}
--- refused
SUMMARIZE (DESCRIBE {base})
--- refused
SHOW ALL TABLES FROM {base}
--- refused
SHOW TABLES FROM information_schema
--- refused
SHOW DATABASES
--- refused
SHOW VARIABLES
--- refused
SHOW memory_limit
--- refused
SHOW search_path
--- refused
SHOW FUNCTIONS
--- any
SHOW ALL
--- refused
SHOW COLUMNS FROM {base}
--- refused
DESCRIBE duckdb_settings()
--- refused
DESCRIBE FROM information_schema.tables
--- refused
SUMMARIZE duckdb_views()
--- refused
SUMMARIZE read_parquet('{path}')
--- refused
DESCRIBE __raw__{view}
--- refused
SUMMARIZE __raw__{base}
--- refused
DESCRIBE {base} AT (VERSION => 1)
--- any
DESCRIBE {view}
--- any
DESC {view}
--- any
SHOW {view}
--- any
SHOW TABLES
--- any
SHOW ALL TABLES
--- any
SUMMARIZE {view}
--- any
SUMMARIZE SELECT name, email, salary, seen FROM {view}
--- any
DESCRIBE SELECT * FROM {view}
--- any
DESCRIBE SELECT email, salary, n + 1 FROM {view} WHERE n = {hid}
--- any
EXPLAIN SELECT * FROM {view}
--- any
EXPLAIN SELECT n FROM {view} WHERE name = 'x' AND salary > 5
--- any
EXPLAIN SELECT n FROM {view} WHERE n = {hid}
--- any
EXPLAIN SELECT email FROM {view} WHERE email = '{true:email}'
--- any
EXPLAIN SELECT count(*) FROM {view} v JOIN {view} w USING (email) GROUP BY v.region
--- any varies
EXPLAIN ANALYZE SELECT * FROM {view} WHERE region = 'EU'
--- any varies
EXPLAIN ANALYZE SELECT count(*) FROM {view} WHERE name > 'm'
--- any
EXPLAIN (FORMAT json) SELECT max(name) FROM {view} WHERE region LIKE 'E%'
--- any
EXPLAIN (FORMAT graphviz) SELECT badge FROM {local_view}
--- any
EXPLAIN SELECT badge FROM {local_view} WHERE badge = 'x'
--- any
EXPLAIN WITH c AS (SELECT seen FROM {view}) SELECT min(seen) FROM c
--- any
SELECT * FROM (DESCRIBE {view})
--- any
SELECT max, min FROM (SUMMARIZE {view})
--- any
SELECT column_name FROM (SHOW TABLES)
--- any
SELECT name FROM (SHOW TABLES)
--- any
SUMMARIZE SELECT 1 FROM {view} WHERE n = {hid}
--- any varies
SUMMARIZE {local_view}
--- any
DESCRIBE {local_view}
