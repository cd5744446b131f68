"""Answers of POST /query/sql: every type in every format, and how a client says which it wants."""

import base64
import csv
import io
import json
import math
import threading
import time
from decimal import Decimal

import pytest
import arrow

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
TSV = "text/tab-separated-values"


@pytest.fixture(scope="module")
def t(tarn_module):
    tarn_module.ingest("people", "id,name,city\n1,Ann,Boise\n2,Bob,\n3,\"Cy, the \"\"3rd\"\"\",Taos\n")
    return tarn_module


def raw(t, sql, accept="application/json", **members):
    answer = t.query(sql, accept=accept, **members)
    assert answer.status_code == 200, answer.text
    return answer.content


def cell(t, expression, **members):
    """A value as it stands in the JSON text, numbers as Decimal or int so that nothing is rounded."""
    body = json.loads(raw(t, f"SELECT {expression} AS v", **members), parse_float=Decimal)
    [row] = body["rows"]
    return row["v"]


def arrow_cell(t, expression):
    stream = arrow.Stream(raw(t, f"SELECT {expression} AS v", accept=ARROW))
    assert stream.names == ["v"]
    [[value]] = stream.rows
    return value


def csv_rows(t, sql, accept=CSV):
    return list(csv.reader(io.StringIO(raw(t, sql, accept=accept).decode(), newline="")))


# expression, JSON, CSV, Arrow
NUMBERS = [
    ("1::TINYINT", 1, "1", 1),
    ("(-128)::TINYINT", -128, "-128", -128),
    ("(-32768)::SMALLINT", -32768, "-32768", -32768),
    ("(-2147483648)::INTEGER", -2147483648, "-2147483648", -2147483648),
    ("9223372036854775807::BIGINT", 2**63 - 1, str(2**63 - 1), 2**63 - 1),
    ("(-9223372036854775808)::BIGINT", -(2**63), str(-(2**63)), -(2**63)),
    ("255::UTINYINT", 255, "255", 255),
    ("65535::USMALLINT", 65535, "65535", 65535),
    ("4294967295::UINTEGER", 2**32 - 1, str(2**32 - 1), 2**32 - 1),
    ("18446744073709551615::UBIGINT", 2**64 - 1, str(2**64 - 1), 2**64 - 1),
    ("99999999999999999999999999999999999999::HUGEINT", 10**38 - 1, "9" * 38, (10**38 - 1, 0)),
    ("(-5)::HUGEINT", -5, "-5", (-5, 0)),
    ("1.50::DECIMAL(4,2)", Decimal("1.50"), "1.50", (150, 2)),
    ("(-0.01)::DECIMAL(9,2)", Decimal("-0.01"), "-0.01", (-1, 2)),
    ("1234567890123456.78::DECIMAL(18,2)", Decimal("1234567890123456.78"), "1234567890123456.78",
     (123456789012345678, 2)),
    ("'0.12345678901234567890123456789012345678'::DECIMAL(38,38)",
     Decimal("0.12345678901234567890123456789012345678"), ".12345678901234567890123456789012345678",
     (12345678901234567890123456789012345678, 38)),
    ("0::DECIMAL(5,0)", 0, "0", (0, 0)),
    ("0.1::DOUBLE", Decimal("0.1"), "0.1", 0.1),
    ("1e300::DOUBLE", Decimal("1e300"), "1e+300", 1e300),
    ("5e-324::DOUBLE", Decimal("5e-324"), "5e-324", 5e-324),
    ("0.5::FLOAT", Decimal("0.5"), "0.5", 0.5),
    ("3.4028235e38::FLOAT", Decimal("3.4028235e38"), "3.4028235e+38", 3.4028234663852886e38),
]


@pytest.mark.parametrize("expression, as_json, as_csv, as_arrow", NUMBERS, ids=[n[0] for n in NUMBERS])
def test_numbers_are_exact(t, expression, as_json, as_csv, as_arrow):
    assert cell(t, expression) == as_json
    assert csv_rows(t, f"SELECT {expression} AS v") == [["v"], [as_csv]]
    assert arrow_cell(t, expression) == as_arrow


def test_the_extremes_of_hugeint(t):
    for n in (2**127 - 1, -(2**127), 2**128 - 1):
        kind = "UHUGEINT" if n > 2**127 else "HUGEINT"
        assert cell(t, f"'{n}'::{kind}") == n
        assert csv_rows(t, f"SELECT '{n}'::{kind}")[1] == [str(n)]


def test_a_hugeint_past_38_digits_is_refused_by_arrow_and_says_why(t):
    answer = t.query(f"SELECT {2**127 - 1}::HUGEINT AS v", accept=ARROW)
    assert answer.status_code == 422 and "38 digits" in answer.json()["detail"]


def test_floats_that_json_has_not(t):
    for text, name in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
        for kind in ("DOUBLE", "FLOAT"):
            assert cell(t, f"'{text}'::{kind}") == name
            value = arrow_cell(t, f"'{text}'::{kind}")
            assert math.isnan(value) if text == "nan" else value == float(text)
            assert csv_rows(t, f"SELECT '{text}'::{kind}")[1] == [text]


def test_minus_zero_keeps_its_sign(t):
    text = raw(t, "SELECT '-0.0'::DOUBLE AS v").decode()
    assert '"v":-0.0' in text
    assert math.copysign(1, arrow_cell(t, "'-0.0'::DOUBLE")) == -1


DAY = 86400 * 1000000
TIMES = [
    ("DATE '2026-11-22'", "2026-11-22", "2026-11-22", 20779),
    ("DATE '1969-12-31'", "1969-12-31", "1969-12-31", -1),
    ("DATE '0044-03-15 (BC)'", "-000043-03-15", "0044-03-15 (BC)", None),
    ("DATE '12345-01-01'", "+012345-01-01", "12345-01-01", None),
    ("'infinity'::DATE", "infinity", "infinity", 2**31 - 1),
    ("TIME '23:59:59.000001'", "23:59:59.000001", "23:59:59.000001", 86399000001),
    ("TIMESTAMP '1970-01-01 00:00:00.000001'", "1970-01-01T00:00:00.000001", "1970-01-01 00:00:00.000001", 1),
    ("TIMESTAMP '1969-12-31 23:59:59.5'", "1969-12-31T23:59:59.5", "1969-12-31 23:59:59.5", -500000),
    ("'1970-01-02'::TIMESTAMP_S", "1970-01-02T00:00:00", "1970-01-02 00:00:00", 86400),
    ("'1970-01-02 00:00:00.25'::TIMESTAMP_MS", "1970-01-02T00:00:00.25", "1970-01-02 00:00:00.25", 86400250),
    ("'1970-01-02 00:00:00.000000001'::TIMESTAMP_NS", "1970-01-02T00:00:00.000000001",
     "1970-01-02 00:00:00.000000001", DAY * 1000 + 1),
    ("'2026-11-22 10:00:00+02'::TIMESTAMPTZ", "2026-11-22T08:00:00Z", "2026-11-22 08:00:00+00", None),
    ("'infinity'::TIMESTAMP", "infinity", "infinity", 2**63 - 1),
    ("'-infinity'::TIMESTAMPTZ", "-infinity", "-infinity", -(2**63 - 1)),
    ("'10:00:00+02'::TIMETZ", "10:00:00+02", "10:00:00+02", "10:00:00+02"),
    ("INTERVAL '1 year 2 months 3 days 04:05:06.7'", "1 year 2 months 3 days 04:05:06.7",
     "1 year 2 months 3 days 04:05:06.7", (14, 3, 14706700000000)),
    ("INTERVAL '0 days'", "00:00:00", "00:00:00", (0, 0, 0)),
]


@pytest.mark.parametrize("expression, as_json, as_csv, as_arrow", TIMES, ids=[n[0] for n in TIMES])
def test_dates_and_times(t, expression, as_json, as_csv, as_arrow):
    assert cell(t, expression) == as_json
    assert csv_rows(t, f"SELECT {expression} AS v") == [["v"], [as_csv]]
    value = arrow_cell(t, expression)
    assert as_arrow is None or value == as_arrow


def test_a_timestamp_with_a_zone_is_utc_in_arrow(t):
    stream = arrow.Stream(raw(t, "SELECT '2026-11-22 10:00:00+02'::TIMESTAMPTZ AS v", accept=ARROW))
    assert stream.fields[0].kind == "timestamp" and stream.fields[0].type.text(1) == "UTC"
    assert stream.rows == [[1795334400000000]]


OTHERS = [
    ("true", True, "true", True),
    ("false", False, "false", False),
    ("'12345678-1234-5678-9abc-def012345678'::UUID", "12345678-1234-5678-9abc-def012345678",
     "12345678-1234-5678-9abc-def012345678", bytes.fromhex("12345678123456789abcdef012345678")),
    ("'\\x00\\xFFa'::BLOB", base64.b64encode(b"\x00\xffa").decode(), "\\x00\\xFFa", b"\x00\xffa"),
    ("''::BLOB", "", "", b""),
    ("'0101'::BIT", "0101", "0101", "0101"),
    ("[1, NULL, 3]", [1, None, 3], "[1, NULL, 3]", [1, None, 3]),
    ("[]::INT[]", [], "[]", []),
    ("[['a'], [], NULL, ['b', NULL]]", [["a"], [], None, ["b", None]], None, [["a"], [], None, ["b", None]]),
    ("[1.5, 2]::DOUBLE[2]", [Decimal("1.5"), Decimal("2.0")], "[1.5, 2.0]", [1.5, 2.0]),
    ("{'a': 1, 'b': 'x'}", {"a": 1, "b": "x"}, "{'a': 1, 'b': x}", {"a": 1, "b": "x"}),
    ("{'a': {'b': [1, 2]}, 'c': NULL::INT}", {"a": {"b": [1, 2]}, "c": None}, None, {"a": {"b": [1, 2]}, "c": None}),
    ("MAP {'k': 1, 'l': NULL}", [{"key": "k", "value": 1}, {"key": "l", "value": None}], "{k=1, l=NULL}",
     {"k": 1, "l": None}),
    ("[{'m': MAP {1: [DATE '2026-01-01']}}]", [{"m": [{"key": 1, "value": ["2026-01-01"]}]}], None,
     [{"m": {1: [20454]}}]),
    ("""'{"a": [1, null]}'::JSON""", {"a": [1, None]}, '{"a": [1, null]}', '{"a": [1, null]}'),
    ("NULL", None, "", None),
    ("NULL::INT", None, "", None),
    ("NULL::VARCHAR", None, "", None),
    ("NULL::INT[]", None, "", None),
    ("NULL::STRUCT(a INT)", None, "", None),
    ("NULL::MAP(INT, INT)", None, "", None),
    ("NULL::DECIMAL(38,2)", None, "", None),
    ("NULL::BOOLEAN", None, "", None),
    ("NULL::UUID", None, "", None),
    ("NULL::INTERVAL", None, "", None),
]


@pytest.mark.parametrize("expression, as_json, as_csv, as_arrow", OTHERS, ids=[n[0] for n in OTHERS])
def test_other_types(t, expression, as_json, as_csv, as_arrow):
    assert cell(t, expression) == as_json
    if as_csv is not None:
        rows = csv_rows(t, f"SELECT {expression} AS v, 1 AS w")
        assert rows == [["v", "w"], [as_csv, "1"]]
    assert arrow_cell(t, expression) == as_arrow


def test_an_enum_is_its_text(t):
    for expression in ("'b'::ENUM('a', 'b')", "NULL::ENUM('a', 'b')"):
        answer = t.query(f"SELECT {expression} AS v")
        if answer.status_code == 422:
            pytest.skip("no type in a statement may be an ENUM")
        assert answer.json()["rows"] == [{"v": "b" if "'b':" in expression else None}]
        assert arrow_cell(t, expression) == ("b" if "'b':" in expression else None)


def test_a_uuid_says_so_in_arrow(t):
    stream = arrow.Stream(raw(t, "SELECT '12345678-1234-5678-9abc-def012345678'::UUID AS v", accept=ARROW))
    assert stream.fields[0].metadata["ARROW:extension:name"] == "arrow.uuid"


TEXTS = ["", "plain", "it's", 'a "quote"', "comma, and ; semicolon", "tab\there", "line\nbreak", "carriage\rreturn",
         "both\r\n", "back\\slash", "é😀日本語", " spaces ", "\x01\x02\x1b\x7f", "\u2028\u2029", "null", "NULL", "\\N",
         "\ufeffbom", "=1+1", "x" * 5000]


@pytest.mark.parametrize("text", TEXTS, ids=lambda s: repr(s)[:20])
def test_texts_arrive_as_they_are(t, text):
    sql = "SELECT '" + text.replace("'", "''") + "' AS v, 1 AS w"
    assert json.loads(raw(t, sql))["rows"] == [{"v": text, "w": 1}]
    assert json.loads(raw(t, sql, accept=NDJSON)) == {"v": text, "w": 1}
    assert csv_rows(t, sql) == [["v", "w"], [text, "1"]]
    assert arrow.Stream(raw(t, sql, accept=ARROW)).rows == [[text, 1]]
    line = raw(t, sql, accept=TSV).decode().removeprefix("v\tw\n").removesuffix("\t1\n")
    for letter, char in (("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r")):
        line = line.replace("\\\\", "\0").replace(letter, char).replace("\0", "\\\\")
    assert line.replace("\\\\", "\\") == text


def test_texts_with_a_code_point_of_each_plane(t):
    for code in (0x41, 0xE9, 0x20AC, 0x1F600, 0x10FFFF):
        assert cell(t, f"chr({code})") == chr(code)
        assert arrow_cell(t, f"chr({code})") == chr(code)


# CSV and TSV

def test_csv_tells_null_from_the_empty_text(t):
    body = raw(t, "SELECT * FROM (VALUES (NULL, 1), ('', 2)) v(a, b) ORDER BY b", accept=CSV)
    assert body == b'a,b\r\n,1\r\n"",2\r\n'


def test_csv_of_one_column_with_a_null_keeps_the_row(t):
    body = raw(t, "SELECT * FROM (VALUES (NULL), ('')) v(a) ORDER BY a NULLS FIRST", accept=CSV)
    assert body.split(b"\r\n")[0] == b"a" and len(body.split(b"\r\n")) == 4


def test_csv_lines_end_as_rfc_4180_says_and_quotes_are_doubled(t):
    body = raw(t, "SELECT id, name, city FROM people ORDER BY id", accept=CSV)
    assert body == b'id,name,city\r\n1,Ann,Boise\r\n2,Bob,\r\n3,"Cy, the ""3rd""",Taos\r\n'


def test_tsv_writes_null_as_backslash_n(t):
    body = raw(t, "SELECT NULL::VARCHAR AS a, '' AS b, 'x' || chr(9) || 'y' AS c", accept=TSV)
    assert body == b"a\tb\tc\n\\N\t\tx\\ty\n"


def test_csv_quotes_a_name_that_needs_it(t):
    assert raw(t, 'SELECT 1 AS "a,b", 2 AS "c""d"', accept=CSV) == b'"a,b","c""d"\r\n1,2\r\n'


# JSON

def test_json_has_what_belongs_to_an_answer(t):
    body = json.loads(raw(t, "SELECT id, name FROM people ORDER BY id"))
    assert body["columns"] == [{"name": "id", "type": "BIGINT"}, {"name": "name", "type": "VARCHAR"}]
    assert body["rows"][0] == {"id": 1, "name": "Ann"}
    assert body["row_count"] == 3 and body["truncated"] is False and "hint" not in body
    assert list(body["snapshots"]) == ["people"] and isinstance(body["snapshots"]["people"], int)
    assert body["elapsed_ms"] >= 0 and body["query_id"]


def test_rows_as_arrays(t):
    for answer in (t.query("SELECT id, name FROM people ORDER BY id", format="arrays"),
                   t.post("/query/sql?format=arrays", json={"sql": "SELECT id, name FROM people ORDER BY id"})):
        assert answer.json()["rows"] == [[1, "Ann"], [2, "Bob"], [3, 'Cy, the "3rd"']]


def test_types_are_named(t):
    body = json.loads(raw(t, "SELECT 1::HUGEINT a, 1.5::DECIMAL(9,3) b, [1] c, {'x': 1} d, MAP {'k': 1.5::DOUBLE} e"))
    assert [c["type"] for c in body["columns"]] == [
        "HUGEINT", "DECIMAL(9,3)", "INTEGER[]", "STRUCT(x INTEGER)", "MAP(VARCHAR, DOUBLE)"]


def test_big_numbers_as_strings(t):
    sql = ("SELECT 9007199254740992 a, 9007199254740993 b, (-9007199254740993) c, 18446744073709551615::UBIGINT d, "
           "1::HUGEINT e, 99999999999999999999::HUGEINT f, 1.50::DECIMAL(9,2) g, 1.5::DOUBLE h, 7 i, "
           "[9007199254740993] j, NULL::BIGINT k")
    [row] = json.loads(raw(t, sql, big_numbers="string"))["rows"]
    assert row == {"a": 9007199254740992, "b": "9007199254740993", "c": "-9007199254740993",
                   "d": "18446744073709551615", "e": 1, "f": "99999999999999999999", "g": "1.50", "h": 1.5, "i": 7,
                   "j": ["9007199254740993"], "k": None}
    line = json.loads(raw(t, sql, accept=NDJSON, big_numbers="string"))
    assert line == row


def test_duplicate_names_all_come(t):
    answer = t.query("SELECT 1 AS a, 2 AS a, 3 AS a")
    pairs = json.loads(answer.text, object_pairs_hook=lambda p: p)
    rows = dict(pairs)["rows"]
    assert [v for _, v in rows[0]] == [1, 2, 3]
    names = [n for n, _ in rows[0]]
    assert names == [c[0][1] for c in dict(pairs)["columns"]]
    assert len(set(names)) == 3, f"a client that reads objects loses columns: {names}"
    assert t.query("SELECT 1 AS a, 2 AS a", format="arrays").json()["rows"] == [[1, 2]]
    assert arrow.Stream(raw(t, "SELECT 1 AS a, 2 AS a", accept=ARROW)).rows == [[1, 2]]


def test_no_rows(t):
    sql = "SELECT id, name FROM people WHERE id > 100"
    body = json.loads(raw(t, sql))
    assert body["rows"] == [] and body["row_count"] == 0 and len(body["columns"]) == 2
    assert raw(t, sql, accept=NDJSON) == b""
    assert raw(t, sql, accept=CSV) == b"id,name\r\n"
    assert raw(t, sql, accept=TSV) == b"id\tname\n"
    stream = arrow.Stream(raw(t, sql, accept=ARROW))
    assert stream.names == ["id", "name"] and stream.rows == []


def test_names_may_be_anything(t):
    for name in ("", " ", "a.b", "é😀", 'q"q', "new\nline", "SELECT"):
        quoted = name.replace('"', '""')
        answer = t.query(f'SELECT 1 AS "{quoted}"')
        if name == "":
            assert answer.status_code == 422
        else:
            assert answer.json()["rows"] == [{name: 1}]


# Limits

def test_an_answer_cut_short_says_so(t):
    body = json.loads(raw(t, "SELECT * FROM range(100) r(i)", rows_max=7))
    assert [r["i"] for r in body["rows"]] == list(range(7))
    assert body["row_count"] == 7 and body["truncated"] is True and "rows_max" in body["hint"]


def test_rows_max_at_the_edge(t):
    assert json.loads(raw(t, "SELECT * FROM range(7)", rows_max=7))["truncated"] is False
    assert json.loads(raw(t, "SELECT * FROM range(8)", rows_max=7))["truncated"] is True
    body = json.loads(raw(t, "SELECT * FROM range(8)", rows_max=0))
    assert body["rows"] == [] and body["truncated"] is True
    assert json.loads(raw(t, "SELECT * FROM range(2048)", rows_max=2048))["truncated"] is False
    assert json.loads(raw(t, "SELECT * FROM range(2049)", rows_max=2048))["truncated"] is True


def test_without_a_word_json_has_ten_thousand_rows_and_streams_have_all(t):
    sql = "SELECT * FROM range(10001) r(i)"
    body = json.loads(raw(t, sql))
    assert body["row_count"] == 10000 and body["truncated"] is True
    assert raw(t, sql, accept=NDJSON).count(b"\n") == 10001
    assert raw(t, sql, accept=CSV).count(b"\r\n") == 10002
    stream = arrow.Stream(raw(t, sql, accept=ARROW))
    assert stream.columns[0] == list(range(10001))


def test_rows_max_holds_in_streams_too(t):
    sql = "SELECT * FROM range(10001) r(i)"
    assert raw(t, sql, accept=NDJSON, rows_max=3) == b'{"i":0}\n{"i":1}\n{"i":2}\n'
    assert arrow.Stream(raw(t, sql, accept=ARROW, rows_max=3)).rows == [[0], [1], [2]]


@pytest.mark.parametrize("value", [-1, 1000000001, 1.5, "7", True, None, [1], 2**70])
def test_a_wrong_rows_max_is_refused(t, value):
    answer = t.query("SELECT 1", rows_max=value)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_argument"


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "1000000001"])
def test_a_wrong_rows_max_behind_the_path_is_refused(t, value):
    answer = t.post("/query/sql", params={"rows_max": value}, json={"sql": "SELECT 1"})
    assert answer.status_code == 400 and "rows_max" in answer.json()["detail"]


# Accept

@pytest.mark.parametrize("accept, media", [
    (None, "application/json"),
    ("*/*", "application/json"),
    ("application/json", "application/json"),
    ("application/*", "application/json"),
    ("text/csv", "text/csv"),
    ("text/*", "text/csv"),
    ("TEXT/CSV", "text/csv"),
    ("text/csv; header=present", "text/csv"),
    ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
    ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
    ("text/csv;q=0.5, application/x-ndjson;q=0.6", "application/x-ndjson"),
    ("text/csv, */*;q=0.1", "text/csv"),
    ("application/json;q=0, text/csv", "text/csv"),
    ("image/png, application/vnd.apache.arrow.stream;q=0.2", ARROW),
    ("text/tab-separated-values", TSV),
    ("application/x-ndjson,text/csv", "application/x-ndjson"),
    ("application/json ; q=0.2 , text/csv ; q=0.3", "text/csv"),
])
def test_accept(t, accept, media):
    headers = {"Content-Type": "application/json", "Accept": accept}
    answer = t.post("/query/sql", data=b'{"sql": "SELECT 1"}', headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == media


@pytest.mark.parametrize("accept", ["image/png", "application/pdf, image/*", "application/json;q=0",
                                    "text/csv;q=0.0", "application/vnd.apache.parquet"])
def test_what_is_not_to_be_had_is_406(t, accept):
    answer = t.query("SELECT 1", accept=accept)
    assert answer.status_code == 406
    problem = answer.json()
    assert problem["code"] == "not_acceptable" and "text/csv" in problem["detail"]


def test_a_specific_refusal_beats_the_star(t):
    answer = t.query("SELECT 1", accept="application/json;q=0, */*")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] != "application/json"


# Requests

def test_a_statement_as_plain_text(t):
    for kind in ("text/plain", "text/plain; charset=utf-8", "TEXT/PLAIN"):
        answer = t.post("/query/sql", data="SELECT 'é' AS v".encode(), headers={"Content-Type": kind})
        assert answer.status_code == 200 and answer.json()["rows"] == [{"v": "é"}]


def test_options_behind_the_path_go_with_plain_text(t):
    answer = t.post("/query/sql?rows_max=1&format=arrays&big_numbers=string", data=b"SELECT 1.5 FROM range(2)",
                    headers={"Content-Type": "text/plain"})
    assert answer.json()["rows"] == [["1.5"]] and answer.json()["truncated"] is True


@pytest.mark.parametrize("body, word", [
    (b"", "empty"),
    (b"{}", "sql"),
    (b"[]", "object"),
    (b'"SELECT 1"', "object"),
    (b"{", "JSON"),
    (b'{"sql": 1}', "sql"),
    (b'{"sql": null}', "sql"),
    (b'{"sql": "SELECT 1", "limit": 1}', "limit"),
    (b'{"sql": "SELECT 1", "sql": "SELECT 2"}', "duplicate"),
    (b'{"sql": "SELECT 1", "format": "rows"}', "format"),
    (b'{"sql": "SELECT 1", "format": 1}', "format"),
    (b'{"sql": "SELECT 1", "big_numbers": true}', "big_numbers"),
    (b'{"sql": "SELECT \xff"}', ""),
    (b'{"sql": "SELECT 1"} x', ""),
    (b'{"sql": "SELECT \\u0000"}', ""),
])
def test_a_wrong_body_is_400(t, body, word):
    answer = t.post("/query/sql", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert word.lower() in answer.json()["detail"].lower()


def test_no_statement_is_refused(t):
    for sql in ("", "  ", "-- nothing", ";"):
        answer = t.query(sql)
        assert answer.status_code in (400, 422), answer.text
        answer = t.post("/query/sql", data=sql.encode(), headers={"Content-Type": "text/plain"})
        assert answer.status_code in (400, 422), answer.text


def test_unknown_parameters_are_400_and_named(t):
    answer = t.post("/query/sql?row_max=1", json={"sql": "SELECT 1"})
    assert answer.status_code == 400 and "row_max" in answer.json()["detail"]
    for bad in ("format=rows", "big_numbers=yes"):
        assert t.post(f"/query/sql?{bad}", json={"sql": "SELECT 1"}).status_code == 400


@pytest.mark.parametrize("kind", ["application/xml", "application/sql", "application/x-www-form-urlencoded"])
def test_another_media_type_is_415(t, kind):
    answer = t.post("/query/sql", data=b'{"sql": "SELECT 1"}', headers={"Content-Type": kind})
    assert answer.status_code == 415 and answer.json()["code"] == "unsupported_format"
    assert "application/json" in answer.json()["detail"]


def test_json_may_say_its_charset(t):
    answer = t.post("/query/sql", data=b'{"sql": "SELECT 1"}',
                    headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 200


def test_a_statement_has_a_longest_length(t):
    sql = "SELECT 1 -- " + "x" * (256 << 10)
    answer = t.query(sql)
    assert answer.status_code in (400, 413, 422) and "262144" in answer.json()["detail"]


# Headers

def test_the_request_id_comes_back(t):
    answer = t.query("SELECT 1", headers={"X-Request-Id": "my-id.1_2"})
    assert answer.headers["X-Request-Id"] == "my-id.1_2"
    for bad in ("a b", "x" * 65, "é".encode(), "a\"b"):
        answer = t.query("SELECT 1", headers={"X-Request-Id": bad})
        assert answer.headers["X-Request-Id"] not in ("", bad)
    ids = {t.query("SELECT 1").headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


def test_server_timing_and_the_id_of_the_query(t):
    answer = t.query("SELECT count(*) FROM people")
    for part in ("guard;dur=", "wait;dur=", "plan;dur=", "total;dur="):
        assert part in answer.headers["Server-Timing"]
    assert answer.headers["X-Tarn-Query"] == answer.json()["query_id"]


# Size

def wide(rows):
    """20 columns of several types."""
    columns = [f"i + {k} AS n{k}" for k in range(8)]
    columns += [f"(i * {k} + 0.5)::DOUBLE AS d{k}" for k in range(4)]
    columns += [f"'text of row ' || i || ' and column {k}' AS s{k}" for k in range(6)]
    columns += ["DATE '2026-01-01' + (i % 365)::INT AS day", "(i % 3 = 0) AS third"]
    return f"SELECT {', '.join(columns)} FROM range({rows}) r(i)"


@pytest.mark.parametrize("accept, least", [(NDJSON, 100_000_000), (ARROW, 80_000_000)])
def test_a_large_answer_streams_and_memory_stays_bounded(t, accept, least):
    rows = 300_000
    highest = [0]
    over = threading.Event()

    def watch():
        while not over.is_set():
            highest[0] = max(highest[0], t.rss()[0])
            time.sleep(0.01)

    before = t.rss()[0]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = t.post("/query/sql", json={"sql": wide(rows)}, headers={"Accept": accept}, stream=True)
        assert answer.status_code == 200
        total = lines = 0
        for piece in answer.iter_content(1 << 20):
            total += len(piece)
            lines += piece.count(b"\n")
    finally:
        over.set()
        watcher.join()
    assert total > least
    assert accept != NDJSON or lines == rows
    assert highest[0] - before < 150 << 20, f"{(highest[0] - before) >> 20} MiB more for {total >> 20} MiB"


def test_a_large_arrow_stream_has_every_value(t):
    stream = arrow.Stream(raw(t, "SELECT i AS a, CASE WHEN i % 7 = 0 THEN NULL ELSE 'v' || i END AS b "
                                 "FROM range(50000) r(i) ORDER BY i", accept=ARROW))
    assert stream.columns[0] == list(range(50000))
    assert stream.columns[1] == [None if i % 7 == 0 else f"v{i}" for i in range(50000)]
    assert sum(stream.batches) == 50000


def test_a_value_of_many_megabytes(t):
    for accept in ("application/json", NDJSON, CSV, ARROW):
        body = raw(t, "SELECT repeat('abcdefghij', 1000000) AS v", accept=accept)
        assert b"abcdefghij" * 1000000 in body


def test_many_rows_of_long_texts(t):
    sql = "SELECT i, repeat('x', 20000) || i AS v FROM range(5000) r(i)"
    for accept in (NDJSON, CSV, TSV, ARROW):
        body = raw(t, sql, accept=accept)
        assert len(body) > 100_000_000 and b"x4999" in body
    stream = arrow.Stream(body)
    assert stream.columns[0] == list(range(5000))
    assert all(v == "x" * 20000 + str(i) for i, v in enumerate(stream.columns[1]))


def test_a_row_past_every_bound_is_an_error_that_says_so(t):
    for accept in ("application/json", NDJSON, ARROW):
        answer = t.query("SELECT repeat('x', 100000000) AS v", accept=accept)
        assert answer.status_code == 413 and "one row" in answer.json()["detail"]
        assert answer.headers["X-Request-Id"] and answer.headers["Cache-Control"] == "no-store"


def test_lists_that_begin_in_the_middle_of_a_chunk(t):
    sql = "SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE [i, i + 1] END AS l, {'a': i, 'b': ['t' || i]} AS s FROM range(5000) r(i)"
    rows = arrow.Stream(raw(t, sql, accept=ARROW)).rows
    assert rows == [[i, None if i % 5 == 0 else [i, i + 1], {"a": i, "b": [f"t{i}"]}] for i in range(5000)]


def test_an_error_in_mid_stream_does_not_look_like_an_end(t):
    sql = "SELECT CASE WHEN i = 2000000 THEN error('stop') ELSE i END AS v FROM range(3000000) r(i)"
    answer = None
    try:
        answer = t.post("/query/sql", json={"sql": sql}, headers={"Accept": NDJSON}, stream=True)
        body = answer.content
    except Exception:  # noqa: the connection was cut, which is right
        return
    assert answer.status_code != 200, f"{len(body)} bytes came as if they were all"


def test_a_stream_that_may_be_cut_says_so_at_once(t):
    for accept in (CSV, TSV, NDJSON, ARROW):
        cut = t.query("SELECT * FROM people", accept=accept, rows_max=2)
        assert cut.headers["X-Tarn-Rows-Max"] == "2"
        assert "X-Tarn-Rows-Max" not in t.query("SELECT * FROM people", accept=accept).headers


def test_a_stream_of_one_piece_says_whether_it_was_cut(t):
    for accept in (CSV, TSV, NDJSON, ARROW):
        headers = [t.query(f"SELECT * FROM people LIMIT {n}", accept=accept, rows_max=2).headers for n in (1, 2, 3)]
        assert [h["X-Tarn-Truncated"] for h in headers] == ["false", "false", "true"]
        assert "X-Tarn-Truncated" not in t.query("SELECT * FROM range(300000)", accept=accept, rows_max=200_000).headers
        assert "X-Tarn-Truncated" not in t.query("SELECT * FROM people", accept=accept).headers


def test_an_answer_that_says_it_in_its_body_has_no_such_header(t):
    headers = t.query("SELECT * FROM people", rows_max=2).headers
    assert "X-Tarn-Rows-Max" not in headers and "X-Tarn-Truncated" not in headers
