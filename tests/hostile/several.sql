# More than one statement, statements about the session, and doors to the outside.
--- refused
SELECT 1; SELECT phone FROM {base}
--- refused
SELECT n FROM {view};SELECT n FROM {view}
--- refused
;SELECT * FROM {base}
--- refused
;;;
--- refused
-- nothing at all
--- refused
/* nothing /* nested */ at all */
--- refused
SELECT * FROM {view} /* ; */; FROM {base} --;
--- refused
SELECT ';' ; SELECT ';;'
--- refused
BEGIN; SELECT * FROM {base}; ROLLBACK
--- refused
BEGIN TRANSACTION READ ONLY
--- refused
COMMIT
--- refused
ABORT
--- refused
SAVEPOINT a
--- refused
SET threads = 64
--- refused
SET enable_external_access = true
--- refused
SET GLOBAL lock_configuration = false
--- refused
SET allowed_directories = ['/']
--- refused
SET search_path = 'raw,main'
--- refused
SET schema = 'raw'
--- refused
SET VARIABLE path = '{path}'
--- refused
SET SESSION memory_limit = '100GB'
--- refused
SET TIME ZONE 'UTC'
--- refused
SET custom_user_agent = 'x'; SELECT 1
--- refused
RESET ALL
--- refused
RESET disabled_filesystems
--- refused
PRAGMA database_list
--- refused
PRAGMA table_info({base})
--- refused
PRAGMA show_tables_expanded
--- refused
PRAGMA storage_info('{base}')
--- refused
PRAGMA disable_optimizer
--- refused
PRAGMA enable_verification
--- refused
PRAGMA enable_profiling = 'json'
--- refused
PRAGMA profiling_output = '/tmp/x.json'
--- refused
PRAGMA disabled_optimizers = 'filter_pushdown'
--- refused
PRAGMA force_checkpoint
--- refused
PRAGMA import_database('/tmp')
--- refused
PRAGMA nosuch(error('{hid}'))
--- refused
PRAGMA nosuch(sleep_ms(5000))
--- refused
PRAGMA nosuch((SELECT phone FROM {base} LIMIT 1))
--- refused
ATTACH '{data}/x.db' AS x
--- refused
ATTACH ':memory:' AS main2
--- refused
ATTACH 'dbname=x' AS p (TYPE postgres)
--- refused
DETACH memory
--- refused
USE memory.main
--- refused
COPY {base} TO '/tmp/stolen.csv'
--- refused
COPY (SELECT * FROM {view}) TO '{path}' (FORMAT parquet, USE_TMP_FILE false)
--- refused
COPY {view} TO '/dev/stdout' (FORMAT csv)
--- refused
COPY {view} FROM '/etc/passwd'
--- refused
COPY FROM DATABASE memory TO x (SCHEMA)
--- refused
EXPORT DATABASE '/tmp/stolen' (FORMAT parquet)
--- refused
IMPORT DATABASE '/tmp/stolen'
--- refused
INSTALL httpfs FROM 'http://127.0.0.1:1'
--- refused
FORCE INSTALL json
--- refused
LOAD httpfs
--- refused
LOAD '/tmp/evil.so'
--- refused
UPDATE EXTENSIONS (httpfs)
--- refused
CALL enable_logging('FileSystem', level := 'trace')
--- refused
CALL enable_logging(storage := 'file', storage_path := '/tmp/log')
--- refused
CALL truncate_duckdb_logs()
--- refused
CALL disable_logging()
--- refused
CALL pragma_table_info('{base}')
--- refused
CALL checkpoint()
--- refused
CALL duckdb_views()
--- refused
CALL load_aws_credentials()
--- refused
CHECKPOINT
--- refused
FORCE CHECKPOINT memory
--- refused
VACUUM FULL
--- refused
ANALYZE {view}
--- refused
KILL 1
--- refused
GRANT SELECT ON {base} TO agent
--- refused
LISTEN x
--- refused
DECLARE c CURSOR FOR SELECT * FROM {base}
--- refused
FETCH ALL FROM c
--- refused
LOCK TABLE {base}
--- refused
HANDLER {base} OPEN
--- refused
SELECT * FROM {view} FOR UPDATE
--- refused
SELECT * FROM {view} INTO OUTFILE '/tmp/x'
--- refused
SELECT setseed(0.5), nextval('s')
--- refused
SELECT write_log('{hid}', level := 'error')
--- refused
SELECT getvariable('path')
--- refused
SELECT sleep_ms(60000)
--- refused
SELECT pg_sleep(60)
--- refused
SELECT parse_duckdb_log_message('FileSystem', 'x')
--- refused
SELECT set_config('x', 'y', true)
--- refused
SELECT lo_import('/etc/passwd')
--- refused
SELECT pg_read_file('/etc/passwd'), pg_ls_dir('/')
--- refused
SELECT load_extension('x')
--- refused
SELECT benchmark(1000000, md5('x'))
--- refused
SELECT http_get('http://127.0.0.1:1/' || name) FROM {view}
--- ok
SELECT count(*) FROM {view};
--- ok
SELECT count(*) AS n FROM {view} ; -- the end
