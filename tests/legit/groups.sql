# Aggregates, windows, pivots.
--- ok
SELECT count(*) FROM {view}
--- ok
SELECT count(*), count(region), count(DISTINCT region), count(salary), sum(bonus) FROM {view}
--- ok
SELECT region, count(*), sum(qty), avg(price), min(name), max(name) FROM {view} GROUP BY region
--- ok
SELECT region, qty, count(*) FROM {view} GROUP BY ALL HAVING count(*) > 1
--- ok
SELECT region, count(*) FILTER (WHERE qty > 4) AS many, sum(price) FILTER (WHERE born < DATE '1985-01-01') FROM {view} GROUP BY 1
--- ok
SELECT region, qty, grouping(region, qty) AS g, count(*) FROM {view} GROUP BY CUBE (region, qty)
--- ok
SELECT region, qty, sum(price) FROM {view} GROUP BY ROLLUP (region, qty)
--- ok
SELECT region, team, count(*) FROM {view} GROUP BY GROUPING SETS ((region), (team), ())
--- ok
SELECT team, count(*) AS k FROM {view} GROUP BY team HAVING k > 3
--- ok
SELECT year(seen) AS y, month(seen) AS m, count(*) FROM {view} GROUP BY y, m
--- ok
SELECT string_agg(name, ',' ORDER BY n), list(qty ORDER BY n)[1:5], first(name ORDER BY n), last(name ORDER BY n) FROM {view}
--- ok
SELECT arg_max(name, price * 1000 + n), arg_min(n, price * 1000 + n), max_by(n, n), min_by(name, n) FROM {view}
--- ok
SELECT median(qty), quantile_cont(price, 0.25), quantile_disc(qty, 0.9), mad(qty), stddev(price), var_pop(qty) FROM {view}
--- ok
SELECT bool_and(qty >= 0), bool_or(qty > 8), bit_or(qty), bit_xor(n), product(1 + qty / 100) FROM {view}
--- ok
SELECT corr(n, qty), covar_samp(n, price), regr_slope(price, qty), regr_r2(price, qty), skewness(qty), kurtosis(price) FROM {view}
--- ok
SELECT histogram(qty), len(list(DISTINCT region)), entropy(qty), approx_count_distinct(n) > 0 FROM {view}
--- ok
SELECT count(DISTINCT email), count(DISTINCT ssn), count(DISTINCT team), count(DISTINCT card) FROM {view}
--- ok
SELECT any_value(region ORDER BY n), geomean(qty + 1), fsum(price), kahan_sum(price), count_if(qty > 2) FROM {view}
--- ok
SELECT region, list(n ORDER BY n DESC) AS ns, max(n, 3) AS top FROM {view} GROUP BY region
--- ok
SELECT qty, min(price), max(price, 2), sum(DISTINCT qty) FROM {view} GROUP BY qty
--- ok
SELECT n, row_number() OVER (ORDER BY n), rank() OVER (ORDER BY qty), dense_rank() OVER (ORDER BY qty), ntile(4) OVER (ORDER BY n) FROM {view}
--- ok
SELECT n, sum(qty) OVER (ORDER BY n), avg(price) OVER (PARTITION BY region ORDER BY n ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM {view}
--- ok
SELECT n, lag(name) OVER w, lead(name, 2, 'none') OVER w, first_value(n) OVER w, nth_value(n, 2) OVER w FROM {view} WINDOW w AS (PARTITION BY region ORDER BY n)
--- ok
SELECT n, percent_rank() OVER (ORDER BY qty), cume_dist() OVER (ORDER BY qty), count(*) OVER (PARTITION BY team) FROM {view}
--- ok
SELECT n, sum(qty) OVER (ORDER BY born RANGE BETWEEN INTERVAL 1 YEAR PRECEDING AND CURRENT ROW) FROM {view}
--- ok
SELECT n, max(price) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING EXCLUDE NO OTHERS) FROM {view}
--- ok
SELECT n, sum(qty) FILTER (WHERE region = 'EU') OVER (ORDER BY n) FROM {view}
--- ok
SELECT n, last_value(salary IGNORE NULLS) OVER (ORDER BY n), lag(bonus) OVER (ORDER BY n) FROM {view}
--- ok
SELECT region, n FROM {view} QUALIFY row_number() OVER (PARTITION BY region ORDER BY price DESC, n) <= 2
--- ok
SELECT n, price - avg(price) OVER (PARTITION BY region) AS diff FROM {view}
--- ok
SELECT region, sum(s) OVER (ORDER BY region NULLS LAST) FROM (SELECT region, sum(qty) AS s FROM {view} GROUP BY region)
--- ok
SELECT n, string_agg(left(name, 1), '' ORDER BY n) OVER (ORDER BY n ROWS 3 PRECEDING) FROM {view}
--- ok
PIVOT (SELECT region, qty, price FROM {view}) ON region IN ('EU', 'US', 'AP') USING sum(price) GROUP BY qty
--- ok
PIVOT {view} ON region IN ('EU', 'US') USING count(*) AS c, max(n) AS m GROUP BY qty
--- ok
SELECT * FROM (SELECT region, qty, n FROM {view}) PIVOT (count(n) FOR region IN ('EU' AS eu, 'US' AS us) GROUP BY qty)
--- ok
SELECT * FROM (SELECT team, qty FROM {view}) PIVOT (count(*) FOR qty IN (1, 2, 3))
--- ok
UNPIVOT (SELECT n, qty::DOUBLE AS q, price AS p FROM {view}) ON q, p INTO NAME what VALUE much
--- ok
SELECT n, k, v FROM (SELECT n, name, note FROM {view}) UNPIVOT (v FOR k IN (name, note))
--- ok
UNPIVOT (SELECT n, region, name FROM {view}) ON COLUMNS(* EXCLUDE n) INTO NAME k VALUE v
--- ok
SELECT width, count(*) FROM (SELECT qty // 3 AS width FROM {view}) GROUP BY width
--- ok
SELECT max(COLUMNS(* EXCLUDE (tags, dims))) FROM {view}
--- ok
SELECT count(COLUMNS(*)) FROM {view}
