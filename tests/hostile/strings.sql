# Queries that stand in strings, prepared ones, and what evaluates a text.
--- refused
SELECT * FROM query('SELECT phone FROM {base}')
--- refused
SELECT * FROM query('FROM ' || 'main.{base}')
--- refused
SELECT * FROM query((SELECT 'FROM {base}'))
--- refused
SELECT query('FROM {base}')
--- refused
SELECT * FROM query_table('{base}')
--- refused
SELECT * FROM query_table(['{view}', '{base}'], true)
--- refused
SELECT * FROM query_table('{view}')
--- refused
SELECT 'FROM {base}'.query()
--- refused
SELECT * FROM {view} WHERE n IN (SELECT n FROM query_table('{base}'))
--- refused
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM {base}'))
--- refused
SELECT * FROM json_execute_serialized_sql('{"error":false,"statements":[]}')
--- refused
SELECT json_serialize_sql('SELECT * FROM {base}')
--- refused
SELECT json_deserialize_sql(json_serialize_sql('SELECT 1'))
--- refused
SELECT json_serialize_plan('SELECT phone FROM {base}', optimize := true)
--- refused
PRAGMA json_execute_serialized_sql('{}')
--- refused
PREPARE p AS SELECT * FROM {base}
--- refused
PREPARE p AS SELECT * FROM {view} WHERE n = $1
--- refused
EXECUTE p
--- refused
EXECUTE p(1, 'x')
--- refused
DEALLOCATE PREPARE p
--- refused
DEALLOCATE ALL
--- refused
EXECUTE IMMEDIATE 'SELECT * FROM {base}'
--- refused
DO 'SELECT 1'
--- refused
SELECT eval('1 + 1')
--- refused
SELECT exec('SELECT 1')
--- refused
SELECT dblink('x', 'SELECT * FROM {base}')
--- refused
SELECT xmltable('x')
--- refused
SELECT query_to_xml('SELECT * FROM {base}', true, false, '')
--- refused
CALL query('SELECT 1')
--- refused
CALL query_table('{base}')
--- refused
FROM query('TABLE {view}') q JOIN {view} v ON q.n = v.n
--- refused
WITH q AS (FROM query('FROM {base}')) SELECT * FROM q
--- refused
SELECT [x FOR x IN (SELECT list(phone) FROM query('FROM {base}'))]
--- refused
SELECT * FROM {view}, LATERAL query('SELECT ' || n)
--- refused
SELECT apply([1], 'x -> current_setting(x)')
--- refused
SELECT list_aggregate(['a'], 'current_setting')
--- refused
SELECT list_aggregate([n], 'stats') FROM {view}
--- refused
SELECT list_aggregate([name], name) FROM {view}
--- refused
SELECT array_aggregate([1, 2], 'su' || 'm')
--- refused
SELECT list_aggr([1, 2], CASE WHEN true THEN 'sum' END)
--- refused
SELECT tags.list_aggregate(region) FROM {view}
--- refused
SELECT [tags].list_aggr('nosuch') FROM {view}
--- refused
SELECT aggregate([1], concat('s', 'um'))
--- refused
SELECT list_aggregate(tags, 'any' COLLATE nocase) FROM {view}
--- refused
SELECT list_aggregate([1], NULL::VARCHAR)
--- refused
SELECT list_aggregate([1], e'sum'||'')
--- ok
SELECT 'SELECT phone FROM {base}' AS only_text FROM {view} LIMIT 1
--- ok
SELECT $$ FROM {base}; DROP TABLE {view} $$ AS t
--- ok
SELECT '{"sql": "FROM {base}"}'::JSON ->> 'sql'
--- any
SELECT list_aggregate(list(name ORDER BY n), 'string_agg') FROM {view}
--- any
SELECT list_aggregate([qty, n], 'histogram') FROM {view} ORDER BY n LIMIT 4
--- any
SELECT json_extract(to_json(v), '$.phone'), to_json(v) ->> 'secret' FROM {view} v ORDER BY n LIMIT 5
--- any
SELECT from_json(to_json({'phone': name}), '{"phone":"VARCHAR"}') FROM {view} ORDER BY n LIMIT 5
--- any
SELECT json_transform(to_json(v), '{"name":"VARCHAR","phone":"VARCHAR","salary":"BIGINT","email":"VARCHAR"}') FROM {view} v
