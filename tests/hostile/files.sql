# Files, folders, addresses: replacement scans, and functions that open something.
--- refused
SELECT * FROM '{path}'
--- refused
SELECT * FROM "{path}"
--- refused
FROM '{path}' SELECT phone
--- refused
SELECT * FROM read_parquet('{path}')
--- refused
SELECT * FROM parquet_scan('{path}', filename = true)
--- refused
SELECT * FROM read_parquet(['{path}', '{path}'], file_row_number := true)
--- refused
SELECT * FROM read_parquet('{data}/primary/**/*.parquet', union_by_name := true)
--- refused
SELECT * FROM '{data}/primary/tables/*/data/*.parquet'
--- refused
SELECT * FROM '{data}/cache/masked/*.parquet'
--- refused
SELECT * FROM read_parquet('*.parquet')
--- refused
SELECT * FROM read_parquet('./*')
--- refused
SELECT * FROM '*.parquet'
--- refused
SELECT file FROM glob('*')
--- refused
SELECT file FROM glob('{data}/**')
--- refused
SELECT * FROM glob('/proc/self/fd/*')
--- refused
SELECT content FROM read_text('{data}/admin.token')
--- refused
SELECT content FROM read_blob('{data}/primary/_catalog/log/*.json')
--- refused
SELECT content FROM read_text('/proc/self/environ')
--- refused
SELECT content FROM read_text('/proc/self/maps')
--- refused
SELECT * FROM read_csv('/proc/self/cmdline', header = false)
--- refused
SELECT * FROM read_csv_auto('/etc/hosts', delim = ' ')
--- refused
SELECT * FROM sniff_csv('/etc/passwd')
--- refused
SELECT * FROM read_json('{data}/primary/_catalog/secret/*.json')
--- refused
SELECT * FROM read_json_auto('{data}/primary/_catalog/content/*.json')
--- refused
SELECT * FROM read_json_objects('{data}/primary/_catalog/head.json')
--- refused
SELECT * FROM read_ndjson('{data}/spool/x')
--- refused
SELECT * FROM read_ndjson_auto('/dev/stdin')
--- refused
SELECT * FROM read_ndjson_objects('/dev/fd/3')
--- refused
SELECT * FROM read_json_objects_auto('/dev/fd/0')
--- refused
SELECT * FROM parquet_metadata('{path}')
--- refused
SELECT stats_min_value, stats_max_value FROM parquet_metadata('{path}') WHERE path_in_schema = 'phone'
--- refused
SELECT * FROM parquet_schema('{path}')
--- refused
SELECT * FROM parquet_file_metadata('{path}')
--- refused
SELECT decode(value) FROM parquet_kv_metadata('{path}')
--- refused
SELECT * FROM parquet_full_metadata('{path}')
--- refused
SELECT * FROM parquet_bloom_probe('{path}', 'name', '{true:name}')
--- refused
SELECT * FROM read_duckdb('{data}/cache/x.duckdb')
--- refused
SELECT * FROM iceberg_scan('{data}/primary/tables')
--- refused
SELECT * FROM iceberg_metadata('{data}/primary/tables/{base}')
--- refused
SELECT * FROM delta_scan('s3://bucket/x')
--- refused
SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')
--- refused
SELECT * FROM sqlite_scan('/tmp/x.db', 't')
--- refused
SELECT * FROM read_xlsx('{data}/x.xlsx')
--- refused
SELECT * FROM st_read('/etc/passwd')
--- refused
SELECT * FROM 'https://127.0.0.1/{base}.parquet'
--- refused
SELECT * FROM 's3://primary/tables/{base}/data/1.parquet'
--- refused
SELECT * FROM 'hf://datasets/{base}/x.csv'
--- refused
SELECT * FROM 'file://{path}'
--- refused
SELECT * FROM 'file:///etc/passwd'
--- refused
SELECT * FROM '../../primary/tables/{base}.parquet'
--- refused
SELECT * FROM '/etc/passwd' AS {view}
--- refused
SELECT * FROM {view} v JOIN '{path}' f ON f.n = v.n
--- refused
SELECT n FROM {view} WHERE name = (SELECT max(phone) FROM '{path}')
--- refused
WITH f AS (FROM '{path}') SELECT phone FROM f
--- refused
WITH "{path}" AS (SELECT 1 AS phone) SELECT phone FROM "{path}"
--- refused
SELECT v.n, t.content FROM {view} v, LATERAL read_text('/proc/self/status') t
--- refused
SELECT t.content FROM {view} v, read_text(v.name) t
--- refused
SELECT * FROM read_text(getvariable('path'))
--- refused
SELECT * FROM read_text((SELECT '{data}' || '/admin.token'))
--- refused
SELECT * FROM Read_Parquet('{path}')
--- refused
SELECT * FROM "read_parquet"('{path}')
--- refused
SELECT * FROM main.read_parquet('{path}')
--- refused
SELECT * FROM system.main.read_parquet('{path}')
--- refused
SELECT * FROM read_parquet/**/('{path}')
--- refused
SELECT * FROM read_parquet{u:00A0}('{path}')
--- refused
SELECT * FROM {u:FF52}ead_parquet('{path}')
--- refused
SELECT '{path}'.read_parquet()
--- refused
SELECT read_parquet('{path}')
--- refused
SELECT read_text('/etc/passwd')
--- refused
SELECT unnest(glob('/*'))
--- refused
SELECT glob('/*')
--- refused
SELECT getenv('HOME'), getenv('TARN_DATA')
--- refused
PIVOT '{path}' ON region IN ('EU') USING max(phone)
--- refused
UNPIVOT (FROM '{path}') ON phone, name
--- refused
SELECT * FROM (SUMMARIZE '{path}')
--- refused
DESCRIBE '{path}'
--- refused
SUMMARIZE '{path}'
--- refused
SUMMARIZE SELECT phone FROM read_parquet('{path}')
--- refused
EXPLAIN SELECT * FROM '{path}'
--- refused
EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')
--- refused
SELECT * FROM arrow_scan(94000000000000, 1, 2)
--- refused
SELECT * FROM arrow_scan_dumb(1::UBIGINT, 2::UBIGINT, 3::UBIGINT)
--- refused
SELECT * FROM seq_scan('{base}')
--- refused
SELECT * FROM index_scan()
--- refused
SELECT * FROM tarn_files
--- refused
SELECT * FROM '/dev/zero'
--- refused
SELECT * FROM '{view}.parquet'
--- refused
SELECT * FROM "{view}.parquet"
--- refused
SELECT * FROM "a:{view}"
--- refused
SELECT * FROM '~/.ssh/id_rsa'
--- refused
SELECT * FROM '\\host\share\x.csv'
--- refused
SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')
--- refused
SELECT st_geomfromtext('POINT(1 2)'), load_aws_credentials()
--- any
SELECT parse_path('{path}'), parse_filename('{path}')
--- any
SELECT '{path}' AS p FROM {view} LIMIT 1
