"""Tables as others see them: read by icebird from the bucket's folder, and their bytes against the format's rules."""

import json
import math
import os

import pytest
import arrow
import iceberg
from conftest import Server
from engine import Engine

ARROW = "application/vnd.apache.arrow.stream"

# Every type, with its edges: a quarter of the values are NULL.
TYPES = r"""
SELECT i::INTEGER AS k, (i % 3 = 0) AS b, (i * 7919 - 2147483648)::INTEGER AS i4,
  CASE i WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808 ELSE i * 1234567890123 END::BIGINT AS i8,
  CASE i % 50 WHEN 1 THEN 'nan' WHEN 2 THEN '-0.0' WHEN 3 THEN 'inf' WHEN 4 THEN '-inf' ELSE (i * 0.37 - 50)::VARCHAR END::FLOAT AS f4,
  CASE i % 50 WHEN 1 THEN 'nan' WHEN 2 THEN '-0.0' WHEN 3 THEN 'inf' WHEN 4 THEN '-inf' ELSE (i * 0.37 - 50)::VARCHAR END::DOUBLE AS f8,
  CASE WHEN i < 200 THEN 'nan'::DOUBLE END AS only_nan, CASE i % 2 WHEN 0 THEN -0.0::DOUBLE ELSE 0.0::DOUBLE END AS zeros,
  (i * 1.01 - 100)::DECIMAL(4,1) AS d4, (i * -123.45)::DECIMAL(9,2) AS d9, (i * 12345678.9012)::DECIMAL(18,4) AS d18,
  (i * -98765432109876.54321)::DECIMAL(30,5) AS d30, (i - 200)::DECIMAL(38,0) AS d38, (i / 1000)::DECIMAL(10,10) AS d10,
  DATE '1969-12-31' + (i * 37 - 4000)::INTEGER AS day, TIME '00:00:00' + INTERVAL (i * 199999) MICROSECOND AS tm,
  TIMESTAMP '1969-12-31 23:59:59.999999' + INTERVAL (i * 977 - 150000) MINUTE AS ts,
  TIMESTAMPTZ '1969-12-31 23:59:59.999999+00' + INTERVAL (i * 977 - 150000) MINUTE AS tz,
  CASE i % 5 WHEN 0 THEN '' WHEN 1 THEN repeat('😀', 20) || i WHEN 2 THEN 'übermäßig lang und länger' || i WHEN 3 THEN chr(1114111) || i ELSE 'x' || i END AS s,
  CASE WHEN i = 7 THEN repeat(chr(1114111), 17) ELSE repeat(chr(1114111), 16) END AS highest,
  md5(i::VARCHAR)::UUID AS u, CASE i % 4 WHEN 0 THEN '\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB WHEN 1 THEN ''::BLOB ELSE encode('blob ' || i) || '\x00\x80'::BLOB END AS bl,
  CASE i % 4 WHEN 0 THEN [] WHEN 1 THEN [i, NULL, i + 1] ELSE [i] END::INTEGER[] AS li,
  CASE WHEN i % 4 > 0 THEN {'x': i::INTEGER, 'y': CASE WHEN i % 3 > 0 THEN 'é' || i END, 'in': {'z': (i * 0.5)::DOUBLE}} END AS st,
  CASE i % 4 WHEN 0 THEN MAP {'a': i, 'b😀': NULL} ELSE MAP {'k' || i: i} END::MAP(VARCHAR, BIGINT) AS ma,
  [{'n': i::INTEGER, 't': ['p' || i, NULL]}] AS deep, NULL::VARCHAR AS nothing
FROM range(400) r(i)"""
OFTEN_NULL = ("b", "i4", "i8", "f4", "f8", "d4", "d9", "d18", "d30", "d38", "day", "tm", "ts", "tz", "s", "u", "bl", "li")


def types_sql():
    items = ", ".join(f"CASE WHEN (k * 7 + {n}) % 4 > 0 THEN {c} END AS {c}" for n, c in enumerate(OFTEN_NULL))
    return f"SELECT * REPLACE ({items}) FROM ({TYPES}) ORDER BY k"


@pytest.fixture(scope="module")
def engine():
    e = Engine()
    yield e
    e.close()


@pytest.fixture(scope="module")
def t(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("iceberg") / "data", "--ingest-target-file", "1M")
    yield server
    server.stop()


def show(t, name):
    answer = t.get(f"/catalog/datasets/by-name/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def location(t, name):
    return show(t, name)["metadata_location"]


def same(field, ours, theirs):
    """Is the other reader's value ours? It gives decimals as doubles, and bytes as text where they are such."""
    if ours is None or theirs is None:
        return ours is None and theirs is None
    kind = field.kind
    if kind == "float":
        if math.isnan(ours):
            return math.isnan(theirs)
        return ours == theirs and math.copysign(1, ours) == math.copysign(1, theirs)
    if kind == "decimal":
        value = ours[0] / 10 ** ours[1]
        return abs(value - theirs) <= abs(value) * 1e-15
    if kind in ("list", "fixed_list"):
        return len(ours) == len(theirs) and all(same(field.children[0], a, b) for a, b in zip(ours, theirs))
    if kind == "struct":
        return set(ours) == set(theirs) and all(same(c, ours[c.name], theirs[c.name]) for c in field.children)
    if kind == "map":
        value = field.children[0].children[1]
        return set(ours) == set(theirs) and all(same(value, v, theirs[k]) for k, v in ours.items())
    if kind in ("binary", "fixed_binary") and isinstance(theirs, str):
        return ours == theirs.encode()
    return ours == theirs and isinstance(ours, bool) == isinstance(theirs, bool)


def total(field, values):
    """A sum that tells, or a length where there is none; exact but for floats."""
    values = [v for v in values if v is not None]
    if field.kind == "decimal":
        return sum(v[0] if isinstance(v, tuple) else v for v in values)
    if field.kind in ("int", "date", "time", "timestamp", "bool"):
        return sum(int(v) for v in values)
    if field.kind == "float":
        return math.fsum(v for v in values if math.isfinite(v))
    return sum(len(v) for v in values)


def compare(t, reader, name, key, at="", snapshot=None, uri=None):
    """The rows of both readers, in the order of the key. Returns how many."""
    answer = t.query(f'SELECT * FROM "{name}" {at} ORDER BY "{key}"', accept=ARROW)
    assert answer.status_code == 200, answer.text
    ours = arrow.Stream(answer.content)
    theirs = reader.table(uri or location(t, name), snapshot)
    assert theirs["columns"] == ours.names
    rows = sorted(theirs["rows"], key=lambda row: row[ours.names.index(key)])
    assert len(rows) == len(ours.rows)
    for n, (a, b) in enumerate(zip(ours.rows, rows)):
        for i, field in enumerate(ours.fields):
            assert same(field, a[i], b[i]), f"row {n}, column {field.name}: {a[i]!r} is not {b[i]!r}"
    for i, field in enumerate(ours.fields):
        if field.kind != "decimal" and field.kind not in ("binary", "fixed_binary"):
            assert total(field, ours.columns[i]) == total(field, [row[i] for row in rows])
    assert t.value(f'SELECT count(*) FROM "{name}" {at}') == len(rows)
    return len(rows)


def check(t, reader, name, key="k"):
    """The newest snapshot by both readers, and the whole table against the rules."""
    rows = compare(t, reader, name, key)
    shown = show(t, name)
    assert shown["rows"] >= rows
    return rows, iceberg.check_table(shown["metadata_location"], reader)


# Kinds of tables

def test_every_type(t, reader, engine, tmp_path):
    t.ingest("types", engine.parquet(types_sql(), tmp_path / "types.parquet"))
    rows, m = check(t, reader, "types")
    assert rows == 400
    [schema] = m["schemas"]
    kinds = {f["name"]: f["type"] for f in schema["fields"] if isinstance(f["type"], str)}
    assert kinds == {
        "k": "int", "b": "boolean", "i4": "int", "i8": "long", "f4": "float", "f8": "double", "only_nan": "double",
        "zeros": "double", "d4": "decimal(4,1)", "d9": "decimal(9,2)", "d18": "decimal(18,4)", "d30": "decimal(30,5)",
        "d38": "decimal(38,0)", "d10": "decimal(10,10)", "day": "date", "tm": "time", "ts": "timestamp",
        "tz": "timestamptz", "s": "string", "highest": "string", "u": "uuid", "bl": "binary", "nothing": "string"}
    assert next(f for f in schema["fields"] if f["name"] == "k")["required"] is True


def test_the_bounds_of_every_type_are_those_of_the_data(t, reader, engine, tmp_path):
    t.ingest("bounds", engine.parquet(types_sql(), tmp_path / "bounds.parquet"))
    m = iceberg.check_metadata(location(t, "bounds"))
    [entry], _ = iceberg.read_snapshot(m, m["snapshots"][-1])
    lower, upper = [iceberg.pairs(entry["data_file"], member) for member in ("lower_bounds", "upper_bounds")]
    nans = iceberg.pairs(entry["data_file"], "nan_value_counts")
    nulls = iceberg.pairs(entry["data_file"], "null_value_counts")
    stream = arrow.Stream(t.query("SELECT * FROM bounds", accept=ARROW).content)
    for i, f in enumerate(m["schemas"][0]["fields"]):
        number, kind = f["id"], f["type"]
        if not isinstance(kind, str):
            continue
        values = [v for v in stream.columns[i] if v is not None]
        assert nulls[number] == 400 - len(values), f["name"]
        if kind.startswith("decimal"):
            unscaled = [v[0] for v in values]
            assert iceberg.bound(kind, lower[number]) == min(unscaled)
            assert iceberg.bound(kind, upper[number]) == max(unscaled)
        elif kind in ("float", "double"):
            real = [v for v in values if not math.isnan(v)]
            if len(real) == len(values):
                assert nans[number] == 0, f["name"]
            if number in lower:
                assert iceberg.bound(kind, lower[number]) == min(real)
                assert iceberg.bound(kind, upper[number]) == max(real)
        elif kind not in ("string", "binary", "uuid"):
            assert iceberg.bound(kind, lower[number]) == min(values), f["name"]
            assert iceberg.bound(kind, upper[number]) == max(values), f["name"]
    ids = {f["name"]: f["id"] for f in m["schemas"][0]["fields"]}
    for name in ("only_nan", "nothing"):
        assert ids[name] not in lower and ids[name] not in upper
    assert lower[ids["zeros"]] == b"\0" * 7 + b"\x80" and upper[ids["zeros"]] == b"\0" * 8
    # 17 of the highest character: no prefix is greater, so there is no upper bound.
    assert ids["highest"] not in upper and lower[ids["highest"]].decode() == "\U0010ffff" * 16
    text = stream.columns[stream.names.index("s")]
    assert iceberg.comparable("string", upper[ids["s"]].decode()) >= max(
        iceberg.comparable("string", v) for v in text if v is not None)


def test_a_zero_stays_a_zero_beside_a_negative_one(t, reader, engine, tmp_path):
    """Others that look for 0 skip files whose zeros are negative ones."""
    signs = "CASE WHEN i % 2 = 0 THEN '-0.0' ELSE '0.0' END"
    t.ingest("signs", engine.parquet(
        f"SELECT i::INTEGER AS k, {signs}::DOUBLE AS d, {signs}::FLOAT AS f, "
        f"CASE WHEN i % 3 > 0 THEN {{'a b': {signs}::DOUBLE, 'n': i, 'in': {{'f': {signs}::FLOAT, 's': 'x' || i}}}} END AS st, "
        f"CASE WHEN i % 3 > 0 THEN '-1.5'::DOUBLE END AS other FROM range(40, 0, -1) r(i)", tmp_path / "signs.parquet"))
    assert t.query("INSERT INTO signs SELECT k + 100, d, f, st, other FROM signs").status_code == 200
    assert check(t, reader, "signs")[0] == 80
    stream = arrow.Stream(t.query("SELECT * FROM signs WHERE k < 100", accept=ARROW).content)
    assert [r[0] for r in stream.rows] == list(range(40, 0, -1)), "the rows keep their order"
    for k, d, f, st, other in stream.rows:
        zeros = [d, f] + ([st["a b"], st["in"]["f"]] if k % 3 else [])
        assert all(v == 0 and math.copysign(1, v) == 1 for v in zeros), k
        assert st is None if k % 3 == 0 else (st["n"], st["in"]["s"]) == (k, f"x{k}")
        assert other == (-1.5 if k % 3 else None)
    assert t.value("SELECT hash('-0.0'::DOUBLE) = hash(0.0::DOUBLE)"), "a compaction may compare files by hashes"


def test_several_appends(t, reader):
    t.ingest("appends", "k,v\n0,zero\n")
    for n in range(1, 6):
        t.ingest("appends", "k,v\n" + "".join(f"{n * 10 + i},v{i}\n" for i in range(n)), mode="append")
    rows, m = check(t, reader, "appends")
    assert rows == 16
    assert [s["summary"]["operation"] for s in m["snapshots"]] == ["append"] * 6
    assert [s["summary"]["total-records"] for s in m["snapshots"]] == ["1", "2", "4", "7", "11", "16"]


def test_more_appends_than_there_are_manifests(t, reader):
    t.ingest("often", "k\n0\n")
    for n in range(1, 45):
        t.ingest("often", f"k\n{n}\n", mode="append")
    rows, m = check(t, reader, "often")
    assert rows == 45 and len(m["snapshots"]) == 45
    _, _, manifests = iceberg.avro_file(iceberg.path_of(m["snapshots"][-1]["manifest-list"]))
    assert len(manifests) < 45, "small manifests are folded together"


def test_replace(t, reader):
    t.ingest("replaced", "k,v\n1,10\n2,20\n")
    t.ingest("replaced", "k,v\n7,70\n", mode="replace")
    t.ingest("replaced", "k,w\n8,x\n9,y\n", mode="replace")
    rows, m = check(t, reader, "replaced")
    assert rows == 2
    assert [s["summary"]["operation"] for s in m["snapshots"]] == ["append", "overwrite", "overwrite"]
    ids = {f["name"]: f["id"] for s in m["schemas"] for f in s["fields"]}
    assert len(set(ids.values())) == 3, "a new column has an id of its own"


def test_added_and_widened_columns(t, reader, engine, tmp_path):
    def file(select):
        return engine.parquet(select, tmp_path / "evolved.parquet")

    t.ingest("evolved", file("SELECT i::INTEGER AS k, i::INTEGER AS n, i::FLOAT / 2 AS f, (i / 10)::DECIMAL(5,2) AS d, "
                             "{'a': i::INTEGER} AS s FROM range(5) r(i)"))
    t.ingest("evolved", file("SELECT (i + 5)::INTEGER AS k, (i + 3000000000)::BIGINT AS n, i::DOUBLE / 3 AS f, "
                             "(i + 100000)::DECIMAL(9,2) AS d, {'a': i::INTEGER} AS s, 'new ' || i AS extra "
                             "FROM range(5) r(i)"), mode="append", evolve="true")
    t.ingest("evolved", file("SELECT (i + 10)::INTEGER AS k FROM range(2) r(i)"), mode="append", evolve="true")
    rows, m = check(t, reader, "evolved")
    assert rows == 12 and len(m["schemas"]) >= 2
    current = next(s for s in m["schemas"] if s["schema-id"] == m["current-schema-id"])
    first = m["schemas"][0]
    kinds = {f["name"]: f["type"] for f in current["fields"]}
    assert kinds["n"] == "long" and kinds["f"] == "double" and kinds["extra"] == "string"
    ids = {f["name"]: f["id"] for f in current["fields"]}
    assert all(ids[f["name"]] == f["id"] for f in first["fields"])
    assert not any(f["required"] for f in current["fields"] if f["name"] != "k")
    for s in m["snapshots"]:
        compare(t, reader, "evolved", "k", f"AT (VERSION => {s['snapshot-id']})", s["snapshot-id"])


def test_time_travel(t, reader):
    t.ingest("travel", "k,v\n1,a\n")
    t.ingest("travel", "k,v\n2,b\n3,c\n", mode="append")
    t.ingest("travel", "k,w\n4,1.5\n", mode="replace")
    t.ingest("travel", "k,w,x\n5,2.5,2026-01-01\n", mode="append", evolve="true")
    snapshots = iceberg.check_metadata(location(t, "travel"))["snapshots"]
    counts = [compare(t, reader, "travel", "k", f"AT (VERSION => {s['snapshot-id']})", s["snapshot-id"]) for s in snapshots]
    assert counts == [1, 3, 1, 2]
    numbers = [compare(t, reader, "travel", "k", f"AT (VERSION => {s['sequence-number']})", s["snapshot-id"]) for s in snapshots]
    assert numbers == counts
    shown = show(t, "travel")["snapshots"]
    assert [s["id"] for s in shown] == [s["snapshot-id"] for s in reversed(snapshots)]


def test_older_metadata_files_stay_readable(t, reader):
    uris = []
    for n in range(4):
        t.ingest("history", f"k\n{n}\n", mode="append" if n else "create")
        uris.append(location(t, "history"))
    assert len(set(uris)) == 4
    for n, uri in enumerate(uris):
        assert len(reader.table(uri)["rows"]) == n + 1
        assert iceberg.check_metadata(uri)["table-uuid"] == iceberg.check_metadata(uris[0])["table-uuid"]


def test_an_empty_table(t, reader, engine, tmp_path):
    t.ingest("empty", engine.parquet("SELECT 1 AS k, 'x' AS v, [1] AS l LIMIT 0", tmp_path / "empty.parquet"))
    rows, m = check(t, reader, "empty")
    assert rows == 0 and [f["name"] for f in m["schemas"][0]["fields"]] == ["k", "v", "l"]
    t.ingest("empty", engine.parquet("SELECT 1 AS k, 'x' AS v, [1] AS l", tmp_path / "one.parquet"), mode="append")
    assert check(t, reader, "empty")[0] == 1
    t.ingest("empty", engine.parquet("SELECT 1 AS k, 'x' AS v, [1] AS l LIMIT 0", tmp_path / "none.parquet"), mode="replace")
    assert check(t, reader, "empty")[0] == 0


def test_a_table_of_many_files(t, reader, engine, tmp_path):
    rows = 500_000
    select = f"SELECT i::INTEGER AS k, (hash(i) >> 1)::BIGINT AS h FROM range({rows}) r(i)"
    t.ingest("wide", engine.parquet(select, tmp_path / "wide.parquet"))
    shown = show(t, "wide")
    assert len(shown["objects"]) >= 3
    m = iceberg.check_table(shown["metadata_location"], reader)
    theirs = reader.table(shown["metadata_location"])["rows"]
    assert len(theirs) == rows == sum(o["rows"] for o in shown["objects"])
    [ours] = t.sql("SELECT sum(k)::BIGINT AS k, sum(h % 1000003)::BIGINT AS h FROM wide")
    assert ours == {"k": sum(r[0] for r in theirs), "h": sum(r[1] % 1000003 for r in theirs)}
    data, _ = iceberg.read_snapshot(m, m["snapshots"][-1])
    assert len(data) == len(shown["objects"])
    bounds = sorted([iceberg.bound("int", iceberg.pairs(e["data_file"], member)[1])
                     for member in ("lower_bounds", "upper_bounds")] for e in data)
    assert bounds[0][0] == 0 and bounds[-1][1] == rows - 1
    assert all(a[1] + 1 == b[0] for a, b in zip(bounds, bounds[1:])), "files of a sorted source do not overlap"


def test_a_renamed_table_stays_the_same_table(t, reader):
    t.ingest("old_name", "k\n1\n2\n")
    before = location(t, "old_name")
    assert t.post("/catalog/datasets/by-name/old_name/rename", json={"to": "new_name"}).status_code == 200
    assert location(t, "new_name") == before
    t.ingest("new_name", "k\n3\n", mode="append")
    assert check(t, reader, "new_name")[0] == 3


def test_names_of_columns_that_others_spell_otherwise(t, reader):
    """icebird looks for Java's spelling of such names, so here the files' ids speak."""
    t.ingest("odd", 'k,"a b","ümlaut","x.y","q""q",1st\n1,2,3,4,5,6\n')
    m = iceberg.check_table(location(t, "odd"), reader)
    assert [f["name"] for f in m["schemas"][0]["fields"]] == ["k", "a b", "ümlaut", "x.y", 'q"q', "1st"]


# Rows that go: position deletes

def delta(t, dataset, mode, rows):
    answer = t.post("/ingest/delta", json={"dataset": dataset, "mode": mode, "key": "k", "rows": rows})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_upserts_and_deletes(t, reader):
    t.ingest("changing", "k,v\n" + "".join(f"{i},v{i}\n" for i in range(100)))
    t.ingest("changing", "k,v\n" + "".join(f"{i},w{i}\n" for i in range(100, 150)), mode="append")
    delta(t, "changing", "delete", [{"k": i} for i in range(0, 100, 7)])
    delta(t, "changing", "upsert", [{"k": i, "v": f"u{i}"} for i in range(90, 110)])
    delta(t, "changing", "upsert", [{"k": i, "v": f"x{i}"} for i in range(95, 160)])
    delta(t, "changing", "delete", [{"k": i} for i in (1, 100, 155)])
    rows, m = check(t, reader, "changing")
    assert rows == t.value("SELECT count(*) FROM changing")
    data, deletes = iceberg.read_snapshot(m, m["snapshots"][-1])
    assert deletes and len({e["data_file"]["referenced_data_file"] for e in deletes}) == len(deletes) <= len(data)
    for s in m["snapshots"]:
        compare(t, reader, "changing", "k", f"AT (VERSION => {s['snapshot-id']})", s["snapshot-id"])


def test_a_table_whose_rows_all_went(t, reader):
    t.ingest("gone", "k,v\n1,a\n2,b\n")
    delta(t, "gone", "delete", [{"k": 1}, {"k": 2}])
    assert check(t, reader, "gone")[0] == 0
    delta(t, "gone", "append", [{"k": 3, "v": "c"}])
    assert check(t, reader, "gone")[0] == 1


# Rows that are changed by statements, columns that are changed by command

def test_statements_that_write(t, reader):
    t.ingest("source", "k,v\n" + "".join(f"{i},{i * 1.5}\n" for i in range(40)))
    for sql in ("CREATE TABLE written AS SELECT k, v, 'row ' || k AS s FROM source WHERE k < 30",
                "INSERT INTO written SELECT k, v, NULL FROM source WHERE k >= 30",
                "UPDATE written SET v = v + 1000, s = 'changed' WHERE k % 3 = 0",
                "DELETE FROM written WHERE k % 5 = 0"):
        answer = t.query(sql)
        assert answer.status_code in (200, 201), answer.text
    rows, m = check(t, reader, "written")
    assert rows == 32
    for snapshot in m["snapshots"]:
        compare(t, reader, "written", "k", f"AT (VERSION => {snapshot['snapshot-id']})", snapshot["snapshot-id"])


def test_columns_that_are_renamed_dropped_added_and_widened(t, reader, engine, tmp_path):
    t.ingest("columns", engine.parquet("SELECT i::INTEGER AS k, i::INTEGER AS n, 'x' || i AS old, i::DOUBLE AS gone "
                                       "FROM range(10) r(i)", tmp_path / "columns.parquet"))
    changes = [{"op": "rename", "name": "old", "to": "new"}, {"op": "drop", "name": "gone"},
               {"op": "widen", "name": "n", "type": "BIGINT"}, {"op": "add", "name": "extra", "type": "DECIMAL(6,2)"}]
    answer = t.post("/catalog/datasets/by-name/columns/columns", json={"changes": changes})
    assert answer.status_code == 200, answer.text
    t.ingest("columns", engine.parquet("SELECT 10::INTEGER AS k, 9999999999 AS n, 'y' AS new, 1.25::DECIMAL(6,2) AS extra",
                                       tmp_path / "more.parquet"), mode="append")
    # A name that was used before is another column now.
    changes = [{"op": "add", "name": "gone", "type": "VARCHAR"}]
    assert t.post("/catalog/datasets/by-name/columns/columns", json={"changes": changes}).status_code == 200
    rows, m = check(t, reader, "columns")
    assert rows == 11
    first, last = m["schemas"][0], next(s for s in m["schemas"] if s["schema-id"] == m["current-schema-id"])
    ids = {f["name"]: f["id"] for f in first["fields"]}
    now = {f["name"]: f["id"] for f in last["fields"]}
    assert now["new"] == ids["old"] and now["n"] == ids["n"] and now["gone"] not in ids.values()
    assert t.value("SELECT count(gone) FROM columns") == 0


# Files that are written again

def test_compaction_changes_no_row(t, reader):
    t.ingest("compacted", "k,v\n" + "".join(f"{i},v{i}\n" for i in range(200)))
    for n in range(1, 6):
        t.ingest("compacted", "k,v\n" + "".join(f"{n * 1000 + i},w{i}\n" for i in range(20)), mode="append")
    delta(t, "compacted", "upsert", [{"k": i, "v": f"u{i}"} for i in range(0, 100, 3)])
    delta(t, "compacted", "delete", [{"k": i} for i in range(150, 1010)])
    compare(t, reader, "compacted", "k")
    before = t.sql("SELECT * FROM compacted ORDER BY k", rows_max=10000)
    answer = t.post("/query/compact", json={"dataset": "compacted", "deletes_share": 0})
    assert answer.status_code == 200, answer.text
    rows, m = check(t, reader, "compacted")
    assert rows == len(before) and t.sql("SELECT * FROM compacted ORDER BY k", rows_max=10000) == before
    data, deletes = iceberg.read_snapshot(m, m["snapshots"][-1])
    assert len(data) == 1 and not deletes and m["snapshots"][-1]["summary"]["operation"] == "replace"
    for snapshot in m["snapshots"]:
        compare(t, reader, "compacted", "k", f"AT (VERSION => {snapshot['snapshot-id']})", snapshot["snapshot-id"])
    delta(t, "compacted", "upsert", [{"k": 1, "v": "after"}])
    assert check(t, reader, "compacted")[0] == rows


# Other servers, other times

def test_what_was_written_before_a_restart_goes_on_after_it(tmp_path, reader):
    server = Server(tmp_path / "data")
    server.ingest("t", "k,v\n1,1\n")
    server.stop()
    server = Server(tmp_path / "data")
    try:
        server.ingest("t", "k,v\n2,2\n", mode="append")
        assert check(server, reader, "t")[0] == 2
    finally:
        server.stop()


def test_nothing_but_the_table_lies_in_its_folder(t, reader):
    t.ingest("tidy", "k\n1\n")
    t.ingest("tidy", "k\n2\n", mode="append")
    t.ingest("tidy", "k\n3\n", mode="replace")
    m = iceberg.check_table(location(t, "tidy"), reader)
    reachable = {location(t, "tidy")} | {e["metadata-file"] for e in m["metadata-log"]}
    for s in m["snapshots"]:
        reachable.add(s["manifest-list"])
        _, _, manifests = iceberg.avro_file(iceberg.path_of(s["manifest-list"]))
        reachable |= {x["manifest_path"] for x in manifests}
        for e in sum(iceberg.read_snapshot(m, s), []):
            reachable.add(e["data_file"]["file_path"])
    root = iceberg.path_of(m["location"])
    there = {"file://" + os.path.join(folder, f) for folder, _, files in os.walk(root) for f in files}
    assert there == reachable


def test_the_catalog_names_the_newest_metadata(t):
    t.ingest("named", "k\n1\n")
    shown = show(t, "named")
    assert shown["metadata_location"].startswith(shown["location"] + "/metadata/")
    with open(iceberg.path_of(shown["metadata_location"]), encoding="utf-8") as f:
        m = json.load(f)
    assert m["location"] == shown["location"]
    assert m["current-snapshot-id"] == shown["snapshot"]
    assert m["schemas"][0]["schema-id"] == shown["schema"]["schema_id"]
