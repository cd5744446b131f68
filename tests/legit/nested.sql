# Lists, structs, maps, lambdas, JSON.
--- ok
SELECT n, tags, len(tags), tags[1], tags[-1], tags[1:1] FROM {view}
--- ok
SELECT n, dims, dims.w, dims['s'], struct_extract(dims, 'w') FROM {view}
--- ok
SELECT n, unnest(tags) AS t FROM {view}
--- ok
SELECT n, unnest(dims) FROM {view}
--- ok
SELECT t, count(*) FROM (SELECT unnest(tags) AS t FROM {view}) GROUP BY t
--- ok
SELECT n, list_transform(tags, x -> upper(x)), list_filter(tags, x -> x <> 'red'), list_contains(tags, 'red') FROM {view}
--- ok
SELECT n, [x || '!' FOR x IN tags IF len(x) > 3], list_reduce([qty, 1, 2], (a, b) -> a + b) FROM {view}
--- ok
SELECT n, list_sort(tags), list_reverse(tags), list_distinct(tags || tags), list_concat(tags, ['x']), array_to_string(tags, '+') FROM {view}
--- ok
SELECT n, list_aggregate(tags, 'max'), list_sum([qty, 2]), list_min([qty, 5]), list_avg([qty, 1]), tags.list_aggregate('count') FROM {view}
--- ok
SELECT n, list_position(tags, 'red'), list_zip(tags, [1, 2]), flatten([tags, tags]), list_slice(tags, 1, 1) FROM {view}
--- ok
SELECT n, {'a': qty, 'b': {'c': name}} AS s, row(n, region), struct_pack(x := price, y := born) FROM {view}
--- ok
SELECT n, struct_insert(dims, z := qty), struct_keys(dims), {'k': tags}.k[1] FROM {view}
--- ok
SELECT n, MAP {'qty': qty, 'n': n} AS m, MAP {'qty': qty}['qty'], map_keys(MAP {name: 1}), map_entries(MAP {'a': region}) FROM {view}
--- ok
SELECT n, range(qty), generate_series(1, qty), [qty, n][2], [n, qty]::BIGINT[], [1, 2]::INT[2] FROM {view}
--- ok
SELECT n, to_json(dims), to_json(tags) ->> '$[0]', json_object('n', n, 'name', name), json_array(n, qty) FROM {view}
--- ok
SELECT n, to_json(v) -> 'dims' ->> 'w' AS w, json_extract_string(to_json(v), '$.name') FROM {view} v
--- ok
SELECT order_no, meta::JSON ->> 'color' AS color, json_extract(meta, '$.size'), json_type(meta, '$.size'), json_valid(meta) FROM {orders}
--- ok
SELECT json_extract_string(meta, '$.color') AS color, count(*), sum(amount) FROM {orders} GROUP BY color
--- ok
SELECT o.order_no, e.key, e.value FROM {orders} o, json_each(o.meta) e
--- ok
SELECT order_no, json_keys(meta), json_structure(meta), json_transform(meta, '{"size":"INTEGER"}'), from_json(meta, '{"color":"VARCHAR"}') FROM {orders}
--- ok
SELECT json_array_length(json_group_array(n)), json_type(json_group_object(n, qty)) FROM (SELECT n, qty FROM {view} ORDER BY n LIMIT 5)
--- ok
SELECT v.n, list(o.item ORDER BY o.order_no) AS items FROM {view} v JOIN {orders} o USING (n) GROUP BY v.n
--- ok
SELECT n, list_transform(range(qty % 4), i -> {'i': i, 'n': n}) FROM {view}
--- ok
SELECT region, list({'n': n, 'p': price} ORDER BY n)[1:2] FROM {view} GROUP BY region
--- ok
SELECT v.name.upper(), v.tags.len(), v.qty.greatest(3) FROM {view} v
--- ok
SELECT n FROM {view} WHERE dims.w > 3 AND tags[2] = 'red' AND dims.s IS NOT NULL
--- ok
SELECT n, e.v, e.o FROM {view}, unnest(tags) WITH ORDINALITY AS e(v, o)
--- ok
SELECT n, union_value(k := qty).k, region::ENUM('EU', 'US', 'AP', 'eu')::VARCHAR FROM {view} WHERE region IS NOT NULL
