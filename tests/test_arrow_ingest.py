"""Arrow IPC streams as files and as deltas: what the server answers in Arrow it takes back."""

import ctypes
import struct

import pytest

import arrow_write as aw

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


def words(indices, **more):
    """A column of the words of a dictionary; the second row is NULL."""
    header, body = aw.batch(2, [(2, 0)], aw.texts(["red", "blue"]))
    dictionary = aw.message(aw.DICTIONARY, {0: ("q", 7), 1: header}, body)
    rows_ = aw.batch(len(indices), [(len(indices), 1)],
                     [bytes([0b11111101]), struct.pack(f"<{len(indices)}b", *indices)], **more)
    return aw.stream([aw.field("w", aw.UTF8, {}, 7)], dictionary, aw.message(aw.BATCH, *rows_))


def test_a_dictionary_becomes_its_values(t):
    t.ingest("words", words([1, 0, 0, 1]))
    assert t.sql("SELECT * FROM words", format="arrays") == [["blue"], [None], ["red"], ["blue"]]


def test_an_index_beyond_its_dictionary_is_refused(t):
    for index in (2, -1):
        answer = t.upload("words_bad", words([1, 0, index, 1]))
        assert answer.status_code == 422 and "dictionary" in answer.json()["detail"], answer.text


def test_an_index_that_is_null_may_be_anything(t):
    t.ingest("words_null", words([1, 99, 0, 1]))
    assert t.sql("SELECT * FROM words_null", format="arrays") == [["blue"], [None], ["red"], ["blue"]]


def test_a_list_of_words_of_a_dictionary_keeps_its_nulls(t):
    header, body = aw.batch(2, [(2, 0)], aw.texts(["red", "blue"]))
    item = aw.field("item", aw.UTF8, {}, 7)
    column = aw.field("l", aw.LIST, {})
    column[5] = [item]
    rows_ = aw.batch(3, [(3, 0), (4, 1)], [b"", struct.pack("<4i", 0, 1, 3, 4), bytes([0b11111101]),
                                           struct.pack("<4b", 1, 99, 0, 1)])
    t.ingest("lists", aw.stream([column], aw.message(aw.DICTIONARY, {0: ("q", 7), 1: header}, body),
                                aw.message(aw.BATCH, *rows_)))
    assert t.sql("SELECT * FROM lists", format="arrays") == [[["blue"]], [[None, "red"]], [["blue"]]]


def zstd(data):
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1024)
    size = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


def numbers(**more):
    header, body = aw.batch(3000, [(3000, 0)], [b"", struct.pack("<3000i", *range(3000))], **more)
    return aw.stream([aw.field("n", aw.INT, aw.integer())], aw.message(aw.BATCH, header, body))


@pytest.mark.parametrize("pack", [zstd, None], ids=["packed", "left as it is"])
def test_a_body_may_be_compressed_with_zstd(t, pack):
    name = "zstd" if pack else "zstd_raw"
    t.ingest(name, numbers(codec=aw.ZSTD, pack=pack))
    assert t.sql(f"SELECT count(*), sum(n), max(n) FROM {name}", format="arrays") == [[3000, 4498500, 2999]]


def test_a_compressed_body_that_is_damaged_is_refused(t):
    answer = t.upload("zstd_bad", numbers(codec=aw.ZSTD, pack=lambda data: zstd(data)[:-9]))
    assert answer.status_code == 422 and "compressed" in answer.json()["detail"], answer.text


def test_lz4_is_refused_with_what_to_do(t):
    answer = t.upload("lz4", numbers(codec=aw.LZ4))
    assert answer.status_code in (415, 422, 501) and "zstd" in answer.json()["detail"], answer.text


@pytest.mark.parametrize("kind, name", [(aw.UNION, "union"), (aw.UTF8_VIEW, "utf8 view")])
def test_a_type_that_is_not_read_is_named(t, kind, name):
    answer = t.upload("odd", aw.stream([aw.field("n", kind, {})]))
    assert answer.status_code in (415, 422, 501) and name in answer.json()["detail"], answer.text


def test_a_list_without_its_elements_is_refused(t):
    answer = t.upload("odd", aw.stream([aw.field("n", aw.LIST, {})]))
    assert answer.status_code == 422, answer.text
