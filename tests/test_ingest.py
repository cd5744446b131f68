"""Ingest from outside: every format, what is found in a file, what is refused and how, and what is left behind."""

import gzip
import json
import os
import re
import socket
import threading

import pytest

from conftest import wait_until
from fixtures import PACKERS, parquet

ROWS = [{"id": 1, "name": "Ann", "score": 1.5}, {"id": 2, "name": "Bob", "score": None}, {"id": 3, "name": "Çelik", "score": -2.25}]
CSV = "id,name,score\n1,Ann,1.5\n2,Bob,\n3,Çelik,-2.25\n"
FILES = {
    "csv": CSV.encode(),
    "tsv": CSV.replace(",", "\t").encode(),
    "json": json.dumps(ROWS).encode(),
    "ndjson": "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode(),
}


_number = [0]


@pytest.fixture
def name():
    """A dataset that no other test has."""
    _number[0] += 1
    return f"d{_number[0]}"


def types(answer):
    return {f["name"]: f["type"] for f in answer["schema"]}


def refused(answer, status, *words):
    """The detail of a problem that has this status and says all the words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["code"]
    for word in words:
        assert word in problem["detail"], problem["detail"]
    assert "/" not in re.sub(r"and/or|/ingest/\S+", "", problem["detail"]) or "spool" not in problem["detail"]
    return problem["detail"]


def footprint(t):
    """All that lies in the data folder beside log, cache and the rejected rows that are kept.

    The log tells of refusals a little later: what it is writing just now is none of it. Nor is what an upload
    leaves for a moment after its answer.
    """
    def look():
        found = set()
        for folder, folders, files in os.walk(t.data):
            folders[:] = [f for f in folders if f not in ("_catalog", "cache", "rejects")]
            found |= {os.path.join(folder, f) for f in folders + files}
        return None if spooled(t) or any("/primary/.tmp/" in f for f in found) else found

    return wait_until(look)


def spooled(t):
    """What uploads and writes have in the spool folder."""
    return [f for f in os.listdir(f"{t.data}/spool") if f.startswith(("upload-", "stage-"))]


# Formats

@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", [*FILES, "parquet"])
def test_every_format_plain_and_packed_is_the_same_table(t, name, form, packer):
    if form == "parquet":
        data = parquet("SELECT * FROM (VALUES (1::BIGINT, 'Ann', 1.5::DOUBLE), (2, 'Bob', NULL), (3, 'Çelik', -2.25)) "
                       "t(id, name, score)")
    else:
        data = FILES[form]
    answer = t.ingest(name, PACKERS[packer](data), filename=f"x.{form}")
    assert answer["format"] == form and answer["rows"] == 3
    assert types(answer) == {"id": "long", "name": "string", "score": "double"}
    assert t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


@pytest.mark.parametrize("form", FILES)
def test_a_format_is_recognised_without_a_name(t, name, form):
    assert t.ingest(name, FILES[form])["format"] == ("csv" if form == "tsv" else form)
    assert t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


@pytest.mark.parametrize("form", FILES)
def test_a_format_can_be_stated(t, name, form):
    assert t.ingest(name, FILES[form], format=form)["rows"] == 3


def test_a_form_brings_options_and_file(t, name):
    answer = t.post("/ingest/file", data={"dataset": name, "mode": "create"}, files={"file": ("people.csv", CSV)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["dataset"] == name
    assert t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


def test_a_form_may_have_its_options_in_the_address(t, name):
    answer = t.post(f"/ingest/file?dataset={name}", files={"anything": ("people.json.gz", gzip.compress(FILES["json"]))})
    assert answer.status_code == 201 and answer.json()["format"] == "json"


@pytest.mark.parametrize("fields, files, word", [
    ({}, {"file": ("x.csv", CSV)}, "dataset"),
    ({"dataset": "form"}, {}, "no file"),
    ({"dataset": "form", "colour": "red"}, {"file": ("x.csv", CSV)}, "colour"),
    ({"dataset": "form", "mode": "swap"}, {"file": ("x.csv", CSV)}, "mode must be"),
    ({"dataset": "form"}, [("file", ("x.csv", CSV)), ("file", ("y.csv", CSV))], "more than one file"),
])
def test_a_form_that_is_not_right_is_400_and_says_why(t, fields, files, word):
    if not files:
        files = {"note": (None, "no file")}
        fields = {**fields}
        word = "note"
    refused(t.post("/ingest/file", data=fields, files=files), 400, word)


@pytest.mark.parametrize("params, word", [
    ({"format": "xlsx"}, "format must be"), ({"mode": "swap"}, "mode must be"), ({"on_error": "skip"}, "fail or reject"),
    ({"header": "maybe"}, "true or false"), ({"evolve": "yes"}, "true or false"), ({"delimiter": "ab"}, "delimiter"),
    ({"quote": "xx"}, "quote"), ({"encoding": "ebcdic"}, "encoding"), ({"colour": "red"}, "colour"),
    ({"delimiter": ";", "quote": ";"}, "same"),
])
def test_an_option_that_is_not_right_is_400_before_the_file_is_read(t, params, word):
    refused(t.upload("options", CSV, **params), 400, word)


@pytest.mark.parametrize("bad", ["", "a b", "system", "system.x", "__raw__x", "x" * 300, "../x", "a/b", "a;b"])
def test_a_name_that_cannot_be_one_is_refused(t, bad):
    before = footprint(t)
    assert t.upload(bad, CSV).status_code == 400
    assert footprint(t) == before


# What is found in a text

@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(t, name, delimiter):
    t.ingest(name, CSV.replace(",", delimiter))
    assert t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


@pytest.mark.parametrize("delimiter, stated", [("~", "~"), ("\t", "\\t"), ("\t", "tab"), ("^", "^")])
def test_the_delimiter_can_be_stated(t, name, delimiter, stated):
    t.ingest(name, CSV.replace(",", delimiter), delimiter=stated)
    assert t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


def test_quotes_hold_delimiters_line_ends_and_quotes(t, name):
    t.ingest(name, 'a,b\n"x,y","one\ntwo\r\nthree"\n"say ""hi""",plain\n')
    assert t.sql(f"SELECT * FROM {name} ORDER BY b") == [{"a": "x,y", "b": "one\ntwo\r\nthree"},
                                                         {"a": 'say "hi"', "b": "plain"}]


def test_the_quote_can_be_stated(t, name):
    t.ingest(name, "a,b\n'x,y',1\n'z',2\n", quote="'")
    assert t.sql(f"SELECT a FROM {name} ORDER BY b", format="arrays") == [["x,y"], ["z"]]


def test_without_quotes_a_quote_is_a_letter(t, name):
    t.ingest(name, 'a,b\n5" disk,1\n"open,2\n', quote="none")
    assert t.sql(f"SELECT a FROM {name} ORDER BY b", format="arrays") == [['5" disk'], ['"open']]


def test_a_header_is_found_or_found_missing(t, name):
    assert types(t.ingest(name, "city,visitors\nDenver,120\nBoise,31\n")) == {"city": "string", "visitors": "long"}
    answer = t.ingest(name + "x", "Denver,120\nBoise,31\nBoston,88\n")
    assert answer["rows"] == 3 and list(types(answer).values()) == ["string", "long"]


def test_the_header_can_be_stated(t, name):
    assert t.ingest(name, "a,b\nc,d\n", header="false")["rows"] == 2
    answer = t.ingest(name + "x", "1,2\n3,4\n", header="true")
    assert answer["rows"] == 1 and types(answer) == {"1": "long", "2": "long"}


TEXT = "name,n\nÄrger,1\nnaïve,2\n"


@pytest.mark.parametrize("encoding, stated", [
    ("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("latin-1", None), ("cp1252", None),
    ("utf-16-le", "utf-16"), ("utf-16-be", "utf-16be"), ("latin-1", "latin-1"), ("utf-8", "utf-8"), ("utf-16", "utf-16"),
    ("utf-8-sig", "utf-8"),
])
def test_the_encoding_is_found_or_stated(t, name, encoding, stated):
    params = {"encoding": stated} if stated else {}
    answer = t.ingest(name, TEXT.encode(encoding), **params)
    assert list(types(answer)) == ["name", "n"]
    assert t.sql(f"SELECT name FROM {name} ORDER BY n", format="arrays") == [["Ärger"], ["naïve"]]


def test_wide_text_without_a_mark_is_told_how_to_be_stated(t, name):
    refused(t.upload(name, TEXT.encode("utf-16-le")), 422, "UTF-16", "encoding")


def test_json_may_have_a_mark_or_be_wide(t, name):
    t.ingest(name, b"\xef\xbb\xbf" + FILES["json"])
    t.ingest(name + "w", FILES["ndjson"].decode().encode("utf-16"), format="ndjson")
    assert t.sql(f"SELECT * FROM {name}w ORDER BY id") == t.sql(f"SELECT * FROM {name} ORDER BY id") == ROWS


def test_empty_means_null_and_nullability_is_seen(t, name):
    answer = t.ingest(name, 'a,b,c\n1,,x\n2,5,""\n,6,y\n')
    required = {f["name"]: f["required"] for f in answer["schema"]}
    assert required["a"] is False and required["b"] is False
    assert t.sql(f"SELECT count(*) AS n, count(a) AS a, count(b) AS b FROM {name}") == [{"n": 3, "a": 2, "b": 2}]


def test_types_are_those_that_lose_nothing(t, name):
    answer = t.ingest(name, "zip,big,huge,price,day,moment,zoned,clock,yes,text\n"
                      "02108,9007199254740993,12345678901234567890123,0.1,2026-02-28,2026-02-28 12:34:56.789,"
                      "2026-02-28T12:00:00+02:00,23:59:59,true,x\n"
                      "80202,-1,-5,1e3,1899-12-31,1969-12-31 23:59:59,2026-07-01T00:00:00Z,00:00:00,false,7\n")
    assert types(answer) == {"zip": "string", "big": "long", "huge": "decimal(38,0)", "price": "double", "day": "date",
                             "moment": "timestamp", "zoned": "timestamptz", "clock": "time", "yes": "boolean",
                             "text": "string"}
    assert t.sql(f"SELECT zip, big::VARCHAR, huge::VARCHAR, day::VARCHAR, moment::VARCHAR FROM {name} WHERE yes",
                 format="arrays") == [["02108", "9007199254740993", "12345678901234567890123", "2026-02-28",
                                       "2026-02-28 12:34:56.789"]]


def late(first, last, rows=500_000):
    return "a,b\n" + f"{first},x\n" * (rows - 1) + f"{last},y\n"


@pytest.mark.parametrize("first, last, kind", [
    ("1", "n/a", "string"), ("1", "2.5", "double"), ("17", "007", "string"), ("2026-01-02", "soon", "string"),
    ("true", "2", "string"),
])
def test_row_500000_has_a_say_in_the_type(t, name, first, last, kind):
    answer = t.ingest(name, late(first, last))
    assert answer["rows"] == 500_000 and types(answer)["a"] == kind
    assert t.sql(f"SELECT a::VARCHAR FROM {name} WHERE b = 'y'", format="arrays") == [[last]]
    assert t.value(f"SELECT count(*) FROM {name} WHERE a::VARCHAR = '{first}' OR a::VARCHAR = '{first}.0'") == 499_999


def test_a_null_in_row_500000_makes_the_column_optional(t, name):
    answer = t.ingest(name, late("1", ""))
    assert [f["required"] for f in answer["schema"]] == [False, True]


def test_a_late_field_of_json_is_a_column(t, name):
    lines = '{"a": 1}\n' * 100_000 + '{"a": 2.5, "late": {"deep": [1, 2]}}\n'
    answer = t.ingest(name, lines)
    assert types(answer)["a"] == "double" and "late" in types(answer)
    assert t.sql(f"SELECT late FROM {name} WHERE a = 2.5") == [{"late": {"deep": [1, 2]}}]


# Bad rows

@pytest.mark.parametrize("text, words", [
    ("a,b\n1,2\n3\n4,5\n", ["line 3", "2 columns", "found 1"]),
    ("a,b\n1,2\n3,4,5\n", ["line 3", "2 columns", "found 3"]),
    ("a,b\n1,\"x\"\n2,\"y\n", ["line 3", "quote"]),
    ("a,b\n" + "1,\"two\nlines\"\n" * 3 + "1\n", ["line 8", "found 1"]),
])
def test_a_bad_row_is_refused_with_its_line_and_reason(t, name, text, words):
    before = footprint(t)
    refused(t.upload(name, text), 422, *words)
    assert footprint(t) == before
    assert t.get(f"/catalog/datasets/by-name/{name}").status_code == 404


def test_a_value_that_is_none_of_the_datasets_type_is_named(t, name):
    t.ingest(name, "a,b\n1,2026-01-01\n")
    answer = t.upload(name, "a,b\n" + "2,2026-01-02\n" * 10 + "x7,2026-01-03\n", mode="append")
    refused(answer, 422, "line 12", '"a"', "x7")
    assert t.value(f"SELECT count(*) FROM {name}") == 1


BAD = "a,b\n1,x\n2\n3,y\nfour,z\n" + "5,w\n" * 6 + "6,v,7\n"


def test_on_error_reject_keeps_the_good_rows_and_hands_out_the_bad(t, name):
    answer = t.ingest(name, BAD, on_error="reject")
    assert answer["rows"] == 8 and types(answer) == {"a": "long", "b": "string"}
    assert t.value(f"SELECT sum(a) FROM {name}") == 34
    rejected = answer["rejected"]
    assert rejected["count"] == 3
    assert [(r["line"], r["column"]) for r in rejected["first"]] == [(3, ""), (5, "a"), (12, "")]
    assert all(r["reason"] for r in rejected["first"])
    file = t.get(rejected["url"])
    assert file.status_code == 200 and file.headers["Content-Type"].startswith("text/csv")
    assert file.text.splitlines()[0] == "line,column,reason,text" and len(file.text.splitlines()) == 4
    assert t.session.get(t.url + rejected["url"], timeout=60).status_code == 401
    # It is a file that can be taken in itself.
    assert t.ingest(name + "bad", file.content)["rows"] == 3
    assert t.sql(f"SELECT line, text FROM {name}bad ORDER BY line", format="arrays") == [[3, "2"], [5, "four,z"], [12, "6,v,7"]]


def test_a_file_without_bad_rows_has_no_rejects(t, name):
    assert t.ingest(name, CSV, on_error="reject")["rejected"] == {"count": 0, "url": None, "first": []}


def test_lines_that_are_not_json_can_be_rejected(t, name):
    lines = '{"a": 1}\nnot json\n{"a": 2}\n[3]\n{"a": 4}\n'
    refused(t.upload(name, lines, format="ndjson"), 422, "line 2")
    answer = t.ingest(name, lines, format="ndjson", on_error="reject")
    assert answer["rows"] == 3 and [r["line"] for r in answer["rejected"]["first"]] == [2, 4]


def test_unknown_rejects_are_404(t):
    for bad in ("nothing", "01M8H3ZXV97FP7NNVJBAMV6XMV", "..", "admin.token"):
        refused(t.get(f"/ingest/rejects/{bad}"), 404)
    refused(t.get("/ingest/rejects/..%2f..%2fadmin.token"), 400)


# Modes

def test_the_answer_says_what_was_made(t, name):
    answer = t.ingest(name, CSV, filename="people.csv")
    assert set(answer) == {"dataset", "format", "rows", "bytes", "files", "total_rows", "schema", "fingerprint",
                           "snapshot", "bucket", "duration_ms", "unchanged", "replayed", "rows_suppressed",
                           "rejected"}
    assert answer["dataset"] == name and answer["bucket"] == "primary" and answer["rows"] == answer["total_rows"] == 3
    assert re.fullmatch("[0-9a-f]{64}", answer["fingerprint"]) and answer["unchanged"] is False
    assert [f["id"] for f in answer["schema"]] == [1, 2, 3]
    shown = t.get(f"/catalog/datasets/by-name/{name}").json()
    assert shown["fingerprint"] == answer["fingerprint"] and shown["rows"] == 3 and shown["bytes"] == answer["bytes"]
    assert [s["id"] for s in shown["snapshots"]] == [answer["snapshot"]]
    [file] = [o for o in shown["objects"]]
    assert file["bytes"] == answer["bytes"] and answer["files"] == 1


def test_fingerprints_are_of_schemas(t, name):
    a = t.ingest(name, CSV)["fingerprint"]
    assert t.ingest(name + "x", CSV + "4,Dee,\n")["fingerprint"] == a
    assert t.ingest(name + "y", CSV.replace("name", "title"))["fingerprint"] != a


def test_the_same_file_sent_twice_changes_nothing(t, name):
    first = t.upload(name, CSV)
    before = footprint(t)
    again = t.upload(name, CSV)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["unchanged"] is True and again.json()["snapshot"] == first.json()["snapshot"]
    assert footprint(t) == before
    assert len(t.get(f"/catalog/datasets/by-name/{name}").json()["snapshots"]) == 1


def test_another_file_of_the_same_name_is_409_and_says_what_to_do(t, name):
    t.ingest(name, CSV)
    before = footprint(t)
    refused(t.upload(name, CSV + "4,Dee,\n"), 409, name, "append", "replace")
    assert footprint(t) == before and t.value(f"SELECT count(*) FROM {name}") == 3


def test_append_adds_and_counts(t, name):
    t.ingest(name, CSV)
    answer = t.ingest(name, "score,id,name\n9,4,Dee\n", mode="append")
    assert answer["rows"] == 1 and answer["total_rows"] == 4
    assert t.sql(f"SELECT * FROM {name} WHERE id = 4") == [{"id": 4, "name": "Dee", "score": 9.0}]
    assert t.value(f"SELECT count(*) FROM {name} AT (VERSION => 1)") == 3


@pytest.mark.parametrize("text, words", [
    ("id,name\n4,Dee\n", ['"score"', "missing"]),
    ("id,name,score,extra\n4,Dee,1,2\n", ['"extra"', "evolve=true"]),
    ("id,name,score\nfour,Dee,1\n", ['"id"', "string", "long"]),
    ("id,title,score\n4,Dee,1\n", ['"title"', '"name"']),
])
def test_append_names_the_column_that_differs(t, name, text, words):
    t.ingest(name, CSV)
    before = footprint(t)
    refused(t.upload(name, text, mode="append"), 409, name, *words)
    assert footprint(t) == before and t.value(f"SELECT count(*) FROM {name}") == 3


def test_a_null_where_there_was_none_names_the_column_or_evolves(t, name):
    t.ingest(name, "a,b\n1,2\n")
    refused(t.upload(name, "a,b\n3,\n", mode="append"), 409, '"b"', "evolve=true")
    answer = t.ingest(name, "a,b\n3,\n", mode="append", evolve="true")
    assert [f["required"] for f in answer["schema"]] == [True, False]


def test_evolve_adds_columns_with_new_ids(t, name):
    t.ingest(name, CSV)
    answer = t.ingest(name, "id,name,extra\n4,Dee,e\n", mode="append", evolve="true")
    assert [(f["id"], f["name"]) for f in answer["schema"]] == [(1, "id"), (2, "name"), (3, "score"), (4, "extra")]
    assert t.sql(f"SELECT id, score, extra FROM {name} WHERE id IN (1, 4) ORDER BY id", format="arrays") == [
        [1, 1.5, None], [4, None, "e"]]


def test_append_to_nothing_is_404(t, name):
    refused(t.upload(name, CSV, mode="append"), 404, name)


def test_replace_puts_other_rows_in_place_and_keeps_the_past(t, name):
    t.ingest(name, CSV)
    answer = t.ingest(name, "x\n7\n", mode="replace")
    assert answer["total_rows"] == 1 and t.sql(f"SELECT * FROM {name}") == [{"x": 7}]
    assert t.value(f"SELECT count(*) FROM {name} AT (VERSION => 1)") == 3
    refused(t.upload(name, "x,y\n1,2\n3\n", mode="replace"), 422, "line 3")
    assert t.sql(f"SELECT * FROM {name}") == [{"x": 7}]


def test_replace_of_nothing_creates(t, name):
    assert t.upload(name, CSV, mode="replace").status_code == 201


def test_an_unknown_bucket_is_404_and_lists_those_that_exist(t, name):
    before = footprint(t)
    refused(t.upload(name, CSV, headers={"X-Lakehouse-Bucket": "attic"}), 404, "attic", "primary")
    refused(t.upload(name, CSV, bucket="attic"), 404, "attic", "primary")
    assert footprint(t) == before
    answer = t.upload(name, CSV, headers={"X-Lakehouse-Bucket": "primary"})
    assert answer.status_code == 201 and answer.json()["bucket"] == "primary"


def test_the_reason_is_in_the_journal(t, name):
    t.ingest(name, CSV, reason="monthly load")
    entries = t.told()
    [entry] = [e for e in entries if e["target"].endswith(name) and e["reason"] == "monthly load"]
    assert entry["actor"] == "admin" and entry["action"] == "dataset.create"


# Parquet and its types

@pytest.mark.parametrize("sql, kind, value", [
    ("5::UTINYINT", "int", "5"), ("65535::USMALLINT", "int", "65535"), ("4294967295::UINTEGER", "long", "4294967295"),
    ("18446744073709551615::UBIGINT", "decimal(20,0)", "18446744073709551615"), ("-7::TINYINT", "int", "-7"),
    ("1.25::DECIMAL(9,2)", "decimal(9,2)", "1.25"), ("'a'::ENUM('a', 'b')", "string", "a"),
    ("'00000000-0000-0000-0000-000000000001'::UUID", "uuid", "00000000-0000-0000-0000-000000000001"),
    ("'x'::BLOB", "binary", "x"), ("1.5::FLOAT", "float", "1.5"), ("TIME '01:02:03'", "time", "01:02:03"),
    ("TIMESTAMP_MS '2026-01-02 03:04:05.678'", "timestamp", "2026-01-02 03:04:05.678"),
    ("TIMESTAMP_NS '2026-01-02 03:04:05.000001'", "timestamp", "2026-01-02 03:04:05.000001"),
    ("TIMESTAMPTZ '2026-01-02 03:04:05+00'", "timestamptz", "2026-01-02 03:04:05+00"),
    ("'{\"a\": 1}'::JSON", "string", '{"a": 1}'), ("DATE '0001-01-01'", "date", "0001-01-01"),
])
def test_a_type_of_parquet_becomes_one_of_icebergs_without_loss(t, name, sql, kind, value):
    answer = t.ingest(name, parquet(f"SELECT {sql} AS v UNION ALL SELECT NULL"))
    assert types(answer) == {"v": kind}
    assert t.sql(f"SELECT v::VARCHAR FROM {name} WHERE v IS NOT NULL", format="arrays") == [[value]]
    assert t.value(f"SELECT count(*) FROM {name} WHERE v IS NULL") == 1


@pytest.mark.parametrize("sql, words", [
    ("INTERVAL 1 DAY", ['"v"', "INTERVAL"]),
    ("'12:00:00+02'::TIMETZ", ['"v"', "TIME WITH TIME ZONE"]),
    ("TIMESTAMP_NS '2026-01-02 03:04:05.000000001'", ["column v", "microsecond"]),
    ("1e300::DOUBLE AS v, INTERVAL 1 DAY", []),
])
def test_a_type_that_iceberg_has_not_is_refused_with_advice(t, name, sql, words):
    before = footprint(t)
    answer = t.upload(name, parquet(f"SELECT {sql} AS {'w' if ' AS v' in sql else 'v'}"))
    detail = refused(answer, answer.status_code, *words)
    assert answer.status_code in (415, 422)
    assert re.search(r"cast|CAST|text|VARCHAR", detail), detail
    assert footprint(t) == before


def test_nested_parquet_keeps_its_form(t, name):
    t.ingest(name, parquet("SELECT 1 AS id, {'a': [1, 2], 'm': MAP {'k': 1.5}} AS s, [{'x': 1}, NULL] AS l"))
    [row] = t.sql(f"SELECT s, l FROM {name}")
    assert row["s"]["a"] == [1, 2] and row["l"] == [{"x": 1}, None]


def test_parquet_of_a_million_rows_keeps_each(t, name):
    answer = t.ingest(name, parquet("SELECT i AS id, hash(i) % 1000 AS h FROM range(1000000) r(i)"))
    assert answer["rows"] == 1_000_000
    assert t.value(f"SELECT sum(id) FROM {name}") == 499_999_500_000


def test_parquet_without_rows_is_a_table_without_rows(t, name):
    answer = t.ingest(name, parquet("SELECT 1 AS a WHERE false"))
    assert answer["rows"] == 0 and types(answer) == {"a": "int"}
    assert t.sql(f"SELECT * FROM {name}") == []


# What is no table

GOOD_PARQUET = "SELECT i AS a, 'text ' || i AS b FROM range(5000) r(i)"


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:]


@pytest.mark.parametrize("what, make, words", [
    ("nothing", lambda: b"", ["empty"]),
    ("nothing, packed", lambda: gzip.compress(b""), ["empty"]),
    ("gzip without its end", lambda: gzip.compress(os.urandom(100000))[:-20], ["gzip", "end"]),
    ("gzip with a wrong byte", lambda: flipped(gzip.compress(CSV.encode()), 30), ["gzip"]),
    ("zstd without its end", lambda: PACKERS["zstd"](os.urandom(100000))[:-20], ["zstd", "end"]),
    ("parquet without its end", lambda: parquet(GOOD_PARQUET)[:-100], ["Parquet"]),
    ("parquet without its middle", lambda: parquet(GOOD_PARQUET)[:1000] + parquet(GOOD_PARQUET)[-300:], ["Parquet"]),
    ("the first four bytes of parquet", lambda: b"PAR1", ["Parquet"]),
    ("parquet marks with rubbish between", lambda: b"PAR1" + os.urandom(500) + b"PAR1", ["Parquet"]),
    ("bytes of all kinds", lambda: bytes(range(256)) * 100, ["NUL"]),
    ("a ZIP archive", lambda: b"PK\x03\x04" + b"\0" * 100, ["ZIP"]),
    ("a PDF document", lambda: b"%PDF-1.7\n1 0 obj\n", ["PDF"]),
    ("packed twice", lambda: gzip.compress(gzip.compress(CSV.encode())), ["packed twice"]),
    ("JSON without its end", lambda: b'[{"a": 1}, {"a": ', []),
    ("an array of numbers", lambda: b"[1, 2, 3]", ["objects"]),
    ("an empty array", lambda: b"[]", ["empty"]),
])
def test_what_is_no_table_is_refused_and_leaves_nothing(t, name, what, make, words):
    before = footprint(t)
    answer = t.upload(name, make())
    assert answer.status_code in (415, 422), answer.text
    refused(answer, answer.status_code, *words)
    assert "Error:" not in answer.json()["detail"], "the engine's own words"
    assert "position" not in answer.json() or "byte" in answer.json()["detail"]
    assert footprint(t) == before
    assert spooled(t) == []
    assert t.get(f"/catalog/datasets/by-name/{name}").status_code == 404


def test_a_file_of_only_a_header_is_a_table_without_rows(t, name):
    answer = t.ingest(name, "a,b\n")
    assert answer["rows"] == 0 and list(types(answer)) == ["a", "b"]
    assert t.sql(f"SELECT * FROM {name}") == []
    assert t.ingest(name, "a,b\nx,y\n", mode="append")["total_rows"] == 1


@pytest.mark.parametrize("stated, data", [("parquet", CSV.encode()), ("json", CSV.encode()), ("csv", parquet)])
def test_a_format_that_is_not_the_one_stated_is_refused(t, name, stated, data):
    refused(t.upload(name, data("SELECT 1 AS a") if callable(data) else data, format=stated), 422, "Parquet" if stated != "json" else "JSON")


def test_a_body_past_its_limit_is_413_and_leaves_nothing(serve):
    t = serve("--http-upload-max", "1M")
    before = footprint(t)
    refused(t.upload("big", "a,b\n" + "1,2\n" * 500_000), 413)
    assert footprint(t) == before


def test_unpacking_past_its_limit_is_413_and_leaves_nothing(serve):
    t = serve("--ingest-unpacked-max", "1M")
    before = footprint(t)
    refused(t.upload("bomb", gzip.compress(b"a,b\n" + b"1,2\n" * 5_000_000)), 413)
    assert footprint(t) == before


def test_a_client_without_a_token_sends_nothing_to_disk(t, name):
    before = footprint(t)
    answer = t.upload(name, CSV, headers={"Authorization": None})
    assert answer.status_code == 401 and footprint(t) == before


# Many at once, and clients that leave

def raw_head(t, name, length):
    return (f"POST /ingest/file?dataset={name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {t.token}\r\n"
            f"Content-Type: text/csv\r\n{length}\r\n\r\n").encode()


@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_breaks_off_leaves_nothing(t, name, length):
    before = footprint(t)
    body = b"a,b\n" + b"1,2\n" * 10000
    with socket.create_connection((t.host, t.port), timeout=30) as s:
        s.sendall(raw_head(t, name, length))
        s.sendall(b"%x\r\n%s\r\n" % (len(body), body) if "chunked" in length else body)
        wait_until(lambda: spooled(t) != [])
    assert footprint(t) == before
    assert t.get(f"/catalog/datasets/by-name/{name}").status_code == 404


def test_nothing_of_a_running_upload_is_visible(t, name):
    body = b"a,b\n" + b"1,2\n" * 1000
    with socket.create_connection((t.host, t.port), timeout=30) as s:
        s.sendall(raw_head(t, name, f"Content-Length: {len(body)}"))
        s.sendall(body[:-4])
        wait_until(lambda: spooled(t) != [])
        assert t.get(f"/catalog/datasets/by-name/{name}").status_code == 404
        assert name not in [d["name"] for d in t.get("/catalog/datasets?limit=1000").json()["datasets"]]
        s.sendall(body[-4:])
        assert b" 201 " in s.recv(65536)
    assert t.value(f"SELECT count(*) FROM {name}") == 1000


def together(count, work):
    answers = [None] * count
    threads = [threading.Thread(target=lambda i=i: answers.__setitem__(i, work(i))) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_eight_appends_at_once_lose_nothing(serve):
    t = serve("--ingest-running-max", 8)
    t.ingest("shared", "who,n\nnobody,0\n")

    def work(i):
        return [t.upload("shared", "who,n\n" + "".join(f"w{i},{k}\n" for k in range(100)), mode="append").status_code
                for _ in range(5)]

    assert together(8, work) == [[200] * 5] * 8
    assert t.value("SELECT count(*) FROM shared") == 1 + 8 * 5 * 100
    assert t.sql("SELECT who, count(*), sum(n) FROM shared WHERE who <> 'nobody' GROUP BY who ORDER BY who",
                 format="arrays") == [[f"w{i}", 500, 5 * 4950] for i in range(8)]
    assert len(t.get("/catalog/datasets/by-name/shared").json()["snapshots"]) == 41


def test_of_eight_who_create_one_dataset_one_wins(serve):
    t = serve("--ingest-running-max", 8)
    codes = together(8, lambda i: t.upload("one", f"n\n{i}\n").status_code)
    assert sorted(codes) == [201] + [409] * 7
    assert t.value("SELECT count(*) FROM one") == 1
    assert len(os.listdir(f"{t.data}/primary/tables")) == 1


def test_past_the_places_for_ingests_comes_503_with_retry_after(serve):
    t = serve("--ingest-running-max", 1)
    with socket.create_connection((t.host, t.port), timeout=30) as s:
        s.sendall(raw_head(t, "slow", "Content-Length: 100") + b"a,b\n")
        wait_until(lambda: spooled(t) != [])
        answer = t.upload("second", CSV)
        refused(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    wait_until(lambda: t.upload("second", CSV).status_code == 201)
    # The place is free before the answer is there: who asks in turn never finds it taken.
    assert [t.upload(f"n{i}", CSV).status_code for i in range(20)] == [201] * 20


def test_what_a_killed_server_left_in_the_spool_is_gone_at_the_next_start(serve):
    t = serve()
    with socket.create_connection((t.host, t.port), timeout=30) as s:
        s.sendall(raw_head(t, "cut", "Content-Length: 1000") + b"a,b\n")
        wait_until(lambda: spooled(t) != [])
        t.kill()
    before = len(os.listdir(f"{t.data}/spool"))
    again = serve()
    assert spooled(again) == [] and len(os.listdir(f"{t.data}/spool")) < before
    assert again.get("/catalog/datasets").json()["datasets"] == []
