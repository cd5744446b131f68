"""Arrow IPC streams as files and as deltas: what the server answers in Arrow it takes back."""

import struct

import pytest

ARROW = "application/vnd.apache.arrow.stream"

COLUMNS = {
    "b": "i % 2 = 0",
    "i8": "(i % 100)::TINYINT", "i16": "i::SMALLINT", "i32": "i::INTEGER", "i64": "(i * 5000000000)::BIGINT",
    "u8": "(i % 200)::UTINYINT", "u16": "i::USMALLINT", "u32": "i::UINTEGER",
    "f32": "(i / 4)::FLOAT", "f64": "i / 3",
    "dec": "(i / 8)::DECIMAL(18,3)", "wide": "(i * 1000000007)::DECIMAL(38,5)",
    "txt": "repeat('é', (i % 20)::INT) || i", "bin": "('x' || i)::BLOB",
    "d": "DATE '2020-01-01' + i::INTEGER", "t": "TIME '00:00:00' + to_seconds(i)",
    "ts": "TIMESTAMP '2020-01-01' + to_seconds(i)", "tz": "TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_seconds(i)",
    "l": "[i, NULL, i + 1]", "ll": "[['a' || i], [], NULL]",
    "s": "{'x': i, 'y': {'z': 't' || i}}", "m": "MAP {'k' || i: i, 'other': NULL}",
}


@pytest.fixture(scope="module")
def t(tarn_module):
    return tarn_module


def arrow(t, sql):
    answer = t.query(sql, accept=ARROW)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xff\xff\xff\xff")
    return answer.content


def rows(t, name):
    return t.sql(f"SELECT * FROM {name} ORDER BY id", format="arrays", rows_max=100000)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_type_comes_back_as_it_went_out(t, column):
    sql = (f"SELECT i AS id, CASE WHEN i % 7 = 3 THEN NULL ELSE {COLUMNS[column]} END AS v "
           "FROM range(5000) r(i) ORDER BY i")
    done = t.ingest(f"back_{column}", arrow(t, sql))
    assert (done["format"], done["rows"]) == ("arrow", 5000)
    expected = t.sql(sql, format="arrays", rows_max=100000)
    assert rows(t, f"back_{column}") == expected


def test_many_batches_of_many_columns_are_one_table(t):
    columns = ", ".join(f"{sql} AS {name}" for name, sql in COLUMNS.items() if name not in ("i16", "u16"))
    sql = f"SELECT i AS id, {columns} FROM range(50000) r(i) ORDER BY i"
    assert t.ingest("many", arrow(t, sql))["rows"] == 50000
    difference = f"SELECT count(*) FROM (({sql}) EXCEPT SELECT * FROM many)"
    assert t.value(difference) == 0


def test_a_stream_without_rows_makes_an_empty_table(t):
    body = arrow(t, "SELECT 1 AS id, 'x' AS v WHERE false")
    assert t.ingest("none", body)["rows"] == 0
    assert t.value("SELECT count(*) FROM none") == 0


def test_a_file_is_read_as_the_stream_in_it(t):
    stream = arrow(t, "SELECT i AS id, 't' || i AS v FROM range(10) r(i)")
    footer = b"\0" * 16
    body = b"ARROW1\0\0" + stream + footer + struct.pack("<i", len(footer)) + b"ARROW1"
    assert t.ingest("file", body)["rows"] == 10
    assert rows(t, "file")[9] == [9, "t9"]
    assert t.upload("file_cut", body[:-3]).status_code == 422


def test_a_delta_takes_an_arrow_body(t):
    t.ingest("delta", "id,v\n1,10\n2,20\n3,30\n")
    body = arrow(t, "SELECT * FROM (VALUES (2::BIGINT, 21::BIGINT), (4, 40)) x(id, v)")
    answer = t.post("/ingest/delta", params={"dataset": "delta", "mode": "upsert", "key": "id"}, data=body,
                    headers={"Content-Type": ARROW})
    assert answer.status_code == 200, answer.text
    assert answer.json()["changed"] == {"rows": 2, "matched": 1}
    assert rows(t, "delta") == [[1, 10], [2, 21], [3, 30], [4, 40]]
    answer = t.post("/ingest/delta", params={"dataset": "delta", "mode": "delete", "key": "id"},
                    data=arrow(t, "SELECT 1::BIGINT AS id"), headers={"Content-Type": ARROW})
    assert answer.status_code == 200, answer.text
    assert rows(t, "delta") == [[2, 21], [3, 30], [4, 40]]


def test_append_checks_the_schema(t):
    t.ingest("typed", "id,v\n1,10\n")
    answer = t.upload("typed", arrow(t, "SELECT 2 AS id, 'text' AS v"), mode="append")
    assert answer.status_code in (409, 422), answer.text
    answer = t.upload("typed", arrow(t, "SELECT 2::BIGINT AS id, 3::BIGINT AS w"), mode="append")
    assert answer.status_code in (409, 422), answer.text
    assert rows(t, "typed") == [[1, 10]]
    assert t.upload("typed", arrow(t, "SELECT 2::BIGINT AS id, 20::BIGINT AS v"), mode="append").status_code == 200
    assert rows(t, "typed") == [[1, 10], [2, 20]]


def test_a_stream_that_is_cut_anywhere_is_refused(t):
    body = arrow(t, "SELECT i AS id, 't' || i AS v FROM range(100) r(i)")
    for end in sorted({4, 5, 8, 9, 50, *range(100, len(body), 97), len(body) - 8, len(body) - 1}):
        answer = t.upload("cut", body[:end])
        assert answer.status_code == 422, (end, answer.text)
        assert "Arrow" in answer.json()["detail"], (end, answer.text)
    assert t.upload("cut", body + b"more").status_code == 422
    assert t.upload("cut", body).status_code == 201


def test_text_that_is_not_utf8_is_refused(t):
    body = arrow(t, "SELECT 1 AS id, 'marked' AS v")
    assert body.count(b"marked") == 1
    answer = t.upload("utf8", body.replace(b"marked", b"mar\xffed"))
    assert answer.status_code == 422 and "not UTF-8" in answer.json()["detail"], answer.text


def test_the_format_can_be_stated_and_is_checked(t):
    body = arrow(t, "SELECT 1 AS id")
    assert t.ingest("stated", body, format="arrow")["rows"] == 1
    assert t.upload("stated2", body, format="csv").status_code == 422
    answer = t.upload("stated2", "id\n1\n", format="arrow")
    assert answer.status_code == 422 and "Arrow" in answer.json()["detail"], answer.text
