# What the engine and the server know of themselves.
--- refused
SELECT * FROM information_schema.tables
--- refused
SELECT column_name FROM information_schema.columns WHERE table_name = '{base}'
--- refused
SELECT view_definition FROM information_schema.views
--- refused
SELECT * FROM INFORMATION_SCHEMA.SCHEMATA
--- refused
SELECT * FROM "information_schema".table_constraints
--- refused
SELECT * FROM pg_catalog.pg_views
--- refused
SELECT relname FROM pg_class
--- refused
SELECT attname FROM pg_attribute
--- refused
SELECT * FROM pg_proc WHERE proname LIKE 'tarn%'
--- refused
SELECT * FROM pg_settings
--- refused
SELECT * FROM pg_database
--- refused
SELECT nspname FROM pg_catalog.pg_namespace
--- refused
SELECT * FROM PG_TABLES
--- refused
SELECT pg_get_viewdef('{view}'::regclass)
--- refused
SELECT pg_get_expr('x', 1)
--- refused
SELECT obj_description(0, 'pg_class'), shobj_description(0, 'x')
--- refused
SELECT has_table_privilege('{base}', 'select')
--- refused
SELECT sql FROM sqlite_master
--- refused
SELECT * FROM sqlite_schema
--- refused
SELECT * FROM sqlite_temp_master
--- refused
SELECT * FROM duckdb_tables()
--- refused
SELECT sql FROM duckdb_views()
--- refused
SELECT * FROM duckdb_columns
--- refused
SELECT * FROM duckdb_constraints()
--- refused
SELECT * FROM duckdb_indexes()
--- refused
SELECT * FROM duckdb_sequences()
--- refused
SELECT * FROM duckdb_schemas()
--- refused
SELECT path FROM duckdb_databases()
--- refused
SELECT function_name, macro_definition FROM duckdb_functions() WHERE function_name LIKE 'tarn%'
--- refused
SELECT * FROM duckdb_settings() WHERE name LIKE '%directory%'
--- refused
SELECT * FROM duckdb_keywords()
--- refused
SELECT * FROM duckdb_types()
--- refused
SELECT * FROM duckdb_extensions()
--- refused
SELECT * FROM duckdb_optimizers()
--- refused
SELECT * FROM duckdb_secrets(redact = false)
--- refused
SELECT * FROM duckdb_secret_types()
--- refused
SELECT * FROM duckdb_temporary_files()
--- refused
SELECT * FROM duckdb_memory()
--- refused
SELECT path FROM duckdb_external_file_cache()
--- refused
SELECT message FROM duckdb_logs()
--- refused
SELECT * FROM duckdb_log_contexts()
--- refused
SELECT * FROM duckdb_logs_parsed('FileSystem')
--- refused
SELECT * FROM duckdb_variables()
--- refused
SELECT * FROM duckdb_prepared_statements()
--- refused
SELECT * FROM duckdb_dependencies()
--- refused
SELECT * FROM duckdb_approx_database_count()
--- refused
SELECT * FROM duckdb_connection_count()
--- refused
SELECT * FROM duckdb_profiling_settings()
--- refused
SELECT * FROM pragma_table_info('{view}')
--- refused
SELECT * FROM pragma_storage_info('{base}')
--- refused
SELECT * FROM pragma_show('{view}')
--- refused
SELECT * FROM pragma_collations()
--- refused
SELECT * FROM pragma_metadata_info()
--- refused
SELECT * FROM pragma_user_agent()
--- refused
SELECT * FROM pragma_platform()
--- refused
SELECT * FROM pragma_last_profiling_output()
--- refused
SELECT * FROM pragma_rows()
--- refused
SELECT library_version FROM pragma_version()
--- refused
SELECT * FROM pragma_database_size
--- refused
SELECT * FROM which_secret('s3://x', 's3')
--- refused
SELECT * FROM sql_auto_complete('SELECT * FROM peop')
--- refused
SELECT * FROM pg_timezone_names()
--- refused
SELECT * FROM icu_calendar_names()
--- refused
SELECT * FROM system.information_schema.tables
--- refused
SELECT * FROM system.main.duckdb_tables
--- refused
SELECT * FROM temp.information_schema.columns
--- refused
SELECT name FROM system.journal
--- refused
SELECT * FROM system.roles
--- refused
SELECT * FROM system.tokens
--- refused
SELECT * FROM system.views
--- refused
SELECT * FROM system.columns
--- refused
SELECT * FROM system.content
--- any
SELECT * FROM system.tables
--- any
SELECT * FROM system.files
--- any
SELECT * FROM system.snapshots
--- any
SELECT * FROM system.tombstones
--- any varies
SELECT * FROM system.queries
--- any
SELECT dataset, count(*) FROM system.files GROUP BY ALL
--- any
SELECT * FROM system.files WHERE dataset = '{base}'
--- any
SELECT s.* FROM system.snapshots s, {view} v WHERE v.n < 5
--- any
SELECT * FROM SYSTEM.TOMBSTONES t JOIN {view} v ON true
--- refused
SELECT * FROM system.files AT (VERSION => 1)
--- refused
SELECT * FROM __raw__system.files
--- refused
SELECT version()
--- refused
SELECT current_setting('data_directory')
--- refused
SELECT current_setting(s) FROM (VALUES ('temp_directory'), ('secret_directory')) t(s)
--- refused
SELECT current_query()
--- refused
SELECT txid_current(), current_transaction_id()
--- refused
SELECT current_database(), current_schema(), current_schemas(true)
--- refused
SELECT inet_client_addr(), inet_server_port()
--- refused
SELECT get_type(n) FROM {view}
--- refused
SELECT stats(name) FROM {view}
--- refused
SELECT stats(salary), stats(n) FROM {view} LIMIT 1
--- refused
SELECT max(stats(email)) FROM {view}
--- refused
SELECT n FROM {view} WHERE stats(note) LIKE '%Max%'
--- refused
SELECT list_transform([1], x -> stats(x))
--- refused
SELECT {view}.stats() FROM {view}
--- refused
SELECT name.stats() FROM {view}
--- refused
SELECT vector_type(name) FROM {view}
--- refused
SELECT pg_size_pretty(pg_relation_size('{base}'))
--- refused
SELECT * FROM summary((SELECT * FROM {view}))
--- refused
SELECT * FROM duckdb_table_sample('{view}')
--- refused
SELECT * FROM test_all_types()
