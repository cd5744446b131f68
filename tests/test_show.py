"""Statements about a query: DESCRIBE, SUMMARIZE, SHOW and EXPLAIN, and to each only what is theirs."""

import pytest

from conftest import bearer

TYPES = ("SELECT i::INTEGER AS a, i AS b, 'x' || i AS c, (i * 1.5)::DECIMAL(9,2) AS d, DATE '2024-01-01' + i::INTEGER AS e, "
         "TIMESTAMP '2024-01-01' AS f, i % 2 = 0 AS g, [i, i] AS h, {'x': i, 'y': 'z'} AS j, i / 3 AS k, "
         "'00000000-0000-0000-0000-00000000000' || (i % 10) AS l FROM range(500) r(i)")
ROWS = "id,name,v\n" + "".join(f"{i},name {i},{i * 7 % 100}\n" for i in range(500))


@pytest.fixture(scope="module")
def t(tarn_module):
    assert tarn_module.query(f"CREATE TABLE typed AS {TYPES}").status_code == 200
    for name in ("people", "hidden_4711", "zebras"):
        tarn_module.ingest(name, ROWS)
    return tarn_module


def restricted(t, name, grants):
    """query(sql) of somebody with these rights."""
    who = bearer(t.let_in(name, grants))
    return lambda sql, **more: t.query(sql, headers=who, **more)


def plan(answer):
    assert answer.status_code == 200, answer.text
    [[key, text]] = [list(r.values()) for r in answer.json()["rows"]]
    assert key == "physical_plan" and answer.json()["columns"][1]["name"] == "explain_value"
    return text


@pytest.mark.parametrize("sql", ["typed", "SELECT * FROM typed", "SELECT a + 1 AS next, h, j.y, count(*) FROM typed GROUP BY ALL",
                                 "WITH c AS (FROM typed) SELECT k, c FROM c"])
def test_describe_tells_names_and_types_as_the_answer_has_them(t, sql):
    columns = t.query(sql if " " in sql else f"FROM {sql}").json()["columns"]
    answer = t.query(f"DESCRIBE {sql}").json()
    assert [(r["column_name"], r["column_type"]) for r in answer["rows"]] == [(c["name"], c["type"]) for c in columns]
    assert [c["name"] for c in answer["columns"]] == ["column_name", "column_type", "null", "key", "default", "extra"]
    assert answer["snapshots"].keys() == {"typed"} and not answer["truncated"]


def test_summarize_tells_of_the_live_rows(t):
    t.ingest("summed", ROWS)
    assert t.query("DELETE FROM summed WHERE id >= 100").status_code == 200
    rows = t.sql("SUMMARIZE summed")
    assert [(r["column_name"], r["min"], r["max"], r["count"]) for r in rows if r["column_name"] == "id"] == [("id", "0", "99", 100)]
    assert t.sql("SUMMARIZE SELECT id FROM summed WHERE id < 10")[0]["count"] == 10


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"])
@pytest.mark.parametrize("sql", ["DESCRIBE typed", "SUMMARIZE people", "SHOW TABLES", "EXPLAIN FROM people"])
def test_every_format_takes_them(t, sql, accept):
    answer = t.query(sql, accept=accept)
    assert answer.status_code == 200 and len(answer.content) > 40


def test_show_tables_names_what_there_is(t):
    names = [r["name"] for r in t.sql("SHOW TABLES")]
    assert {"people", "typed", "hidden_4711", "zebras"} <= set(names) and names == sorted(names)
    everything = {r["name"]: r for r in t.sql("SHOW ALL TABLES")}
    assert everything["people"] == {"name": "people", "kind": "dataset", "columns": 3}
    assert everything["typed"]["columns"] == 11
    assert t.sql("SELECT columns FROM system.tables WHERE name = 'people' AND kind = 'dataset'") == [{"columns": 3}]
    assert t.sql("SELECT * FROM system.tables WHERE name = 'nothing'") == []


def test_nobody_is_shown_what_they_may_not_read(t):
    query = restricted(t, "shown", {"dataset:people": ["read_raw"], "dataset:hidden_4711": ["write"]})
    for sql in ("SHOW TABLES", "SHOW ALL TABLES", "SELECT * FROM system.tables", "DESCRIBE", "SELECT count(*) AS name FROM system.tables"):
        answer = query(sql)
        assert answer.status_code == 200, answer.text
        assert [r["name"] for r in answer.json()["rows"]] in (["people"], [1])
    for sql in ("DESCRIBE {}", "SHOW {}", "SUMMARIZE {}", "EXPLAIN FROM {}", "DESCRIBE SELECT * FROM people p, {} q"):
        absent, hidden = query(sql.format("typod_0815")), query(sql.format("typed"))
        assert (absent.status_code, hidden.status_code) == (404, 404)
        assert absent.json()["detail"].replace("typod_0815", "typed") == hidden.json()["detail"]
        assert query(sql.format("hidden_4711")).status_code == 403
        assert query(sql.format("people")).status_code == 200


def test_a_plan_names_no_file_of_the_server(t):
    """Whatever the scan is: one file, several, with deleted rows, left out by its bounds, in memory, of old snapshots."""
    t.ingest("planned", ROWS)
    folder = t.data.rstrip("/").split("/")
    words = [w for w in (folder[-1], folder[-2], "primary/", ".parquet", "planned-", "/data/") if len(w) > 4]

    def check(*more):
        for sql in ("FROM planned", "SELECT count(*) FROM planned WHERE id > 3 AND name LIKE '%9%'",
                    "SELECT * FROM planned ORDER BY v LIMIT 3", "SELECT * FROM planned p JOIN planned q USING (id) WHERE p.v > q.v", *more):
            text = plan(t.query(f"EXPLAIN {sql}"))
            text = "".join(c for c in text if c.isprintable() and not c.isspace() and not "\u2500" <= c <= "\u257f")
            assert not [w for w in words if w in text], text
    check()
    t.ingest("planned", ROWS, mode="append")
    check("FROM planned WHERE id = 3", "FROM planned AT (VERSION => 1)")
    assert t.query("DELETE FROM planned WHERE id % 3 = 0").status_code == 200
    check("FROM __raw__planned", "FROM planned WHERE id > 1000")
    assert t.post("/query/cache/pin", json={"dataset": "planned"}).status_code == 200
    check()


def test_explain_runs_nothing(t):
    before = t.get("/catalog/datasets/by-name/people").json()["snapshots"]
    assert "SCAN" in plan(t.query("EXPLAIN SELECT name FROM people")).replace("READ_PARQUET", "SCAN")
    assert t.query("EXPLAIN DELETE FROM people").status_code == 422
    assert t.get("/catalog/datasets/by-name/people").json()["snapshots"] == before


def test_an_error_in_them_says_where(t):
    for sql, position in (("EXPLAIN SELECT nosuch FROM people", 15), ("DESCRIBE SELECT nosuch FROM people", 16),
                          ("EXPLAIN FROM peeple", 13), ("SUMMARIZE peeple", 10), ("EXPLAIN ANALYZE FROM people", 8)):
        answer = t.query(sql)
        assert answer.status_code in (404, 422) and answer.json()["position"] == position, answer.text


def test_of_a_view_its_readers_are_shown_what_it_shows(t):
    view = {"name": "shown_view", "base_dataset": "people", "columns": ["id", "name"], "row_filter": "v <> 7",
            "column_redactions": {"name": {"mask": {"keep_prefix": 1, "keep_suffix": 0}}}}
    assert t.post("/catalog/views", json=view).status_code in (200, 201)
    query = restricted(t, "viewing", {"view:shown_view": ["read"]})
    assert query("SHOW ALL TABLES").json()["rows"] == [{"name": "shown_view", "kind": "view", "columns": 2}]
    assert {"name": "shown_view", "kind": "view", "columns": 2} in t.sql("SHOW ALL TABLES")
    described = query("DESCRIBE shown_view").json()["rows"]
    assert [(r["column_name"], r["column_type"]) for r in described] == [("id", "BIGINT"), ("name", "VARCHAR")]
    summary = query("SUMMARIZE shown_view").json()["rows"]
    assert summary[0]["count"] == t.value("SELECT count(*) FROM people WHERE v <> 7") and "name" not in summary[1]["max"]
    text = plan(query("EXPLAIN SELECT name FROM shown_view WHERE id > 3"))
    text = "".join(c for c in text if c.isprintable() and not c.isspace() and not "\u2500" <= c <= "\u257f")
    for hidden in ("people", "v<>7", "v!=7", "masked/", ".parquet", t.data.split("/")[-2]):
        assert hidden not in text, text
    for sql in ("DESCRIBE people", "SUMMARIZE people", "EXPLAIN FROM people"):
        assert query(sql).status_code == 404
