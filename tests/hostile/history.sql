# Other times and what lies beneath: AT, __raw__, row numbers, files, the server's own functions.
--- refused
SELECT * FROM {base} AT (VERSION => 1)
--- refused
SELECT phone FROM {base} AT (TIMESTAMP => TIMESTAMP '2999-01-01')
--- refused
SELECT * FROM __raw__{base}
--- refused
SELECT phone FROM "__RAW__{base}"
--- refused
SELECT * FROM main.__raw__{base}
--- refused
SELECT * FROM __raw__{base} AT (VERSION => 1)
--- refused
SELECT * FROM __raw__{view}
--- refused
SELECT n FROM __Raw__{VIEW} WHERE n = {hid}
--- refused
SELECT v.n FROM {view} v JOIN __raw__{view} r ON r.n = v.n
--- refused
SELECT * FROM __raw__{view} AT (VERSION => 2)
--- refused
SELECT * FROM __raw____raw__{base}
--- refused
SELECT * FROM __raw__{other_view}
--- refused
WITH v AS (FROM __raw__{base}) SELECT max(phone) FROM v
--- refused
DESCRIBE __raw__{base}
--- refused
SELECT * FROM {view} AT (VERSION => 'x')
--- refused
SELECT * FROM {view} AT (VERSION => (SELECT 1))
--- refused
SELECT * FROM {view} AT (TIMESTAMP => now())
--- refused
SELECT * FROM {view} AT (TIMESTAMP => (SELECT max(seen) FROM {view}))
--- refused
SELECT * FROM {view} AT (VERSION => 9999)
--- refused
SELECT * FROM {view} AT (VERSION => -1)
--- refused
SELECT * FROM {view} AT (BRANCH => 'main')
--- refused
SELECT * FROM {view} AT (TIMESTAMP => '1999-01-01')
--- refused
SELECT * FROM {other_view} AT (VERSION => 1)
--- refused
SELECT rowid FROM {view}
--- refused
SELECT filename FROM {view}
--- refused
SELECT v.file_row_number FROM {view} v
--- refused
SELECT file_index, file_row_number, filename FROM {view} LIMIT 1
--- refused
SELECT n FROM {view} WHERE filename LIKE '%{base}%'
--- refused
SELECT n FROM {view} ORDER BY rowid
--- refused
SELECT tarn_shown FROM {view}
--- refused
SELECT tarn_file FROM {view}
--- refused
SELECT tarn_pos, tarn_row, tarn_seq FROM {view}
--- refused
SELECT _row_id, _last_updated_sequence_number FROM {view}
--- refused
SELECT _file, _pos, _deleted FROM {view}
--- refused
SELECT tarn_live(1, 2) FROM {view}
--- refused
SELECT n FROM {view} WHERE tarn_live(0, n) OR n = {hid}
--- refused
SELECT tarn_map(1, email) FROM {view}
--- refused
SELECT tarn_map(1, '{true:email}')
--- refused
SELECT n FROM {view} WHERE email = tarn_map(1, '{true:email}')
--- refused
SELECT n FROM {view} WHERE email = tarn_map(2, '{true:email}') OR email = TARN_MAP(3, '{true:email}')
--- refused
SELECT '{true:email}'.tarn_map(1)
--- refused
SELECT list_transform(range(100), i -> tarn_map(i, 'x'))
--- refused
SELECT main.tarn_map(1, 'x'), system.main.tarn_map(1, 'y')
--- refused
SELECT tarn_sum(n) FROM {view}
--- refused
SELECT tarn_sum(n) OVER () FROM {view}
--- refused
SELECT list_aggregate([1], 'tarn_sum')
--- refused
SELECT tarn_late(), tarn_keys(1), tarn_positions('x')
--- refused
SELECT * FROM tarn_rows(1)
--- refused
SELECT * FROM tarn_map(1, 'x')
--- refused
SELECT * FROM tarn_scan('{base}')
--- refused
SELECT tarn_mask('x'), mask_hmac('y'), masker_text('z')
--- refused
SELECT tarn_hash('{true:email}')
--- refused
SELECT tarn_hot(1)
--- refused
SELECT * FROM hot.main.{base}
--- refused
SELECT * FROM "hot"."{base}"
--- refused
SELECT * FROM masked.{view}
--- refused
SELECT * FROM {view}x
--- refused
SELECT $1 FROM {view}
--- refused
SELECT n FROM {view} WHERE n = ?
--- refused
SELECT n FROM {view} WHERE name = $name
--- refused
SELECT ?::UUID
--- refused
SELECT * FROM range($1) r, {view}
--- refused
SELECT * FROM {view} LIMIT $n
--- refused
SELECT current_user, session_user
--- refused
SELECT current_role FROM {view}
--- refused
SELECT current_catalog, current_schema, current_database
--- refused
SELECT "current_schema" FROM {view} WHERE name > current_user
--- refused
SELECT user(), system_user()
--- refused
SELECT n FROM {view} ORDER BY current_role
--- refused
SELECT n::mood FROM {view}
--- refused
SELECT CAST(name AS main.region) FROM {view}
--- refused
SELECT name::{base} FROM {view}
--- refused
SELECT (v)::{view} FROM {view} v
--- refused
SELECT name::regclass::VARCHAR FROM {view}
--- refused
SELECT n::POINTER, n::"NULL"[] FROM {view}
--- refused
SELECT [n]::mood[] FROM {view}
--- refused
SELECT name::STRUCT(a pg_catalog.text) FROM {view}
--- refused
SELECT name COLLATE "en_US; DROP" FROM {view}
--- refused
SELECT name COLLATE {base}.x.y FROM {view}
--- refused
SELECT name COLLATE "../x" FROM {view}
--- any
SELECT n FROM {view} WHERE name COLLATE de > 'm' ORDER BY name COLLATE nocase.noaccent LIMIT 3
--- any
SELECT name COLLATE nosuch FROM {view}
--- any
SELECT v FROM {view} v ORDER BY v.n LIMIT 3
--- any
SELECT {view} FROM {view} WHERE n = {vis}
--- any
SELECT row(v.*) FROM {view} v LIMIT 1
--- any
SELECT v.* EXCLUDE (name, note) FROM {view} v ORDER BY n LIMIT 5
--- any
SELECT * EXCLUDE phone FROM {view}
--- any
SELECT * REPLACE (phone AS name) FROM {view}
--- any
SELECT * REPLACE (email AS name) FROM {view} ORDER BY n
--- any
SELECT * RENAME (email AS phone) FROM {view} LIMIT 1
--- any
SELECT * LIKE 's%' FROM {view} ORDER BY ALL LIMIT 4
--- any
SELECT * SIMILAR TO '(phone|secret|email)' FROM {view}
--- any
SELECT COLUMNS('phone|secret|closed.*') FROM {view}
--- any
SELECT COLUMNS(c -> c LIKE '%e%') FROM {view} ORDER BY ALL LIMIT 5
--- any
SELECT COLUMNS(c -> true)::VARCHAR FROM {view} LIMIT 2
--- any
SELECT max(COLUMNS(*)) FROM {view}
--- any
SELECT greatest(*COLUMNS('name|note|email')) FROM {view} ORDER BY 1 LIMIT 3
--- any
SELECT coalesce(*COLUMNS('email|ssn|card')) FROM {view} ORDER BY 1 LIMIT 3
--- any
SELECT COLUMNS(['n', 'phone']) FROM {view}
--- any
SELECT list(v ORDER BY n)[1:3] FROM {view} v
--- any
SELECT struct_keys(v), struct_values(v) FROM {view} v LIMIT 1
--- any
SELECT struct_extract(v, 'phone') FROM {view} v
--- any
SELECT struct_extract_at(v, 7), struct_extract_at(v, 18) FROM {view} v
--- any
SELECT v['secret'] FROM {view} v
--- any
SELECT #1, #2, #18 FROM {view} LIMIT 1
--- any
SELECT unnest(v) FROM {view} v ORDER BY n LIMIT 2
--- any
SELECT json_group_array(v) FROM (SELECT * FROM {view} WHERE n < 9 ORDER BY n) v
--- any
SELECT json_group_object(n, v) FROM {view} v WHERE n IN ({hid}, {vis})
--- any
SELECT to_json(list(v ORDER BY n)) FROM {view} v
--- any
SELECT row_to_json(v) FROM {view} v ORDER BY v.n
--- any
SELECT json_structure(to_json(v)) FROM {view} v LIMIT 1
--- any
SELECT hash(v), typeof(v) FROM {view} v ORDER BY n LIMIT 1
--- any
SELECT v = w FROM {view} v, {view} w WHERE v.n = w.n AND v.n < 5
--- any
SELECT DISTINCT v FROM {view} v ORDER BY v.n LIMIT 2
--- any
SELECT alias(n), typeof(email), typeof(salary), typeof(seen), typeof(bonus) FROM {view} LIMIT 1
--- any
SELECT * FROM {view} v(a, b, c, d) ORDER BY a LIMIT 1
--- any
SELECT generate_subscripts(tags, 1), tags FROM {view} ORDER BY n LIMIT 3
