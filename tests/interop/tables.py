"""The tables that are read: each function writes one, called like it, through the server's HTTP interface.

Every table has a column k whose values are distinct.
"""

from test_iceberg import types_sql

DATASET = "/catalog/datasets/by-name/"


def ok(answer, *statuses):
    assert answer.status_code in (statuses or (200, 201)), f"{answer.status_code} {answer.text}"
    return answer.json()


def csv(first, last, text):
    return "k,v\n" + "".join(f"{i},{text}{i}\n" for i in range(first, last))


def delta(t, name, mode, rows):
    ok(t.post("/ingest/delta", json={"dataset": name, "mode": mode, "key": "k", "rows": rows}))


def statement(t, sql):
    ok(t.query(sql))


def change_columns(t, name, *changes):
    ok(t.post(f"{DATASET}{name}/columns", json={"changes": changes}))


def types(t, parquet):
    """Every type but time, which Spark does not know; nested ones, NULL, NaN, infinities, both zeros, the ends of ranges."""
    t.ingest("types", parquet(f"SELECT * EXCLUDE (tm) FROM ({types_sql()})"))


def times_of_day(t, parquet):
    t.ingest("times_of_day", parquet(f"SELECT k, tm FROM ({types_sql()})"))


def nested(t, parquet):
    """Maps, lists and structs within each other, empty and NULL at every depth."""
    t.ingest("nested", parquet("""
        SELECT i::INTEGER AS k,
          CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN [] WHEN 2 THEN [NULL, []] ELSE [[i, NULL], [i + 1]] END::BIGINT[][] AS lists,
          CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN MAP {} ELSE MAP {i: {'a': CASE i % 3 WHEN 0 THEN NULL ELSE ['x', NULL] END,
            'd': (i / 7)::DECIMAL(20,3)}} END::MAP(INTEGER, STRUCT(a VARCHAR[], d DECIMAL(20,3))) AS maps,
          CASE i % 3 WHEN 0 THEN NULL ELSE {'at': CASE i % 2 WHEN 0 THEN TIMESTAMPTZ '2024-02-29 12:00:00+00' + INTERVAL (i) HOUR END,
            'in': {'m': MAP {'p' || i: [i * 0.5, NULL]}, 'b': encode('b' || i), 'f': 'nan'::DOUBLE}} END AS structs,
          [{'u': md5(i::VARCHAR)::UUID, 'day': DATE '2024-01-01' + i::INTEGER}, NULL] AS records
        FROM range(60) r(i)"""))


def empty(t, parquet):
    t.ingest("empty", parquet("SELECT 1 AS k, 'x' AS v, [1] AS l, 1.5::DECIMAL(9,2) AS d LIMIT 0"))


def odd_names(t, _parquet):
    t.ingest("odd_names", 'k,"a b","ümlaut","x.y","q""q",1st,SELECT\n1,2,3,4,5,6,7\n8,9,10,11,12,13,14\n')


def appended(t, _parquet):
    t.ingest("appended", csv(0, 10, "v"))
    for n in range(1, 40):
        t.ingest("appended", csv(n * 10, n * 10 + 5, "w"), mode="append")


def replaced(t, _parquet):
    t.ingest("replaced", csv(0, 10, "v"))
    t.ingest("replaced", "k,w\n8,1.5\n9,2.5\n", mode="replace")
    t.ingest("replaced", "k,w,x\n10,1.5,2026-01-01\n", mode="append", evolve="true")


def corrected(t, _parquet):
    """Upserts and deletes by key, several on the same files."""
    t.ingest("corrected", csv(0, 100, "v"))
    t.ingest("corrected", csv(100, 150, "w"), mode="append")
    delta(t, "corrected", "delete", [{"k": i} for i in range(0, 100, 7)])
    delta(t, "corrected", "upsert", [{"k": i, "v": f"u{i}"} for i in range(90, 110)])
    delta(t, "corrected", "upsert", [{"k": i, "v": f"x{i}"} for i in range(95, 160)])
    delta(t, "corrected", "delete", [{"k": i} for i in (1, 100, 155)])
    delta(t, "corrected", "append", [{"k": 500, "v": "last"}])


def emptied(t, _parquet):
    t.ingest("emptied", csv(0, 20, "v"))
    delta(t, "emptied", "delete", [{"k": i} for i in range(20)])


def updated(t, _parquet):
    """What SQL statements change."""
    t.ingest("source", "k,v\n" + "".join(f"{i},{i * 1.5}\n" for i in range(40)))
    for sql in ("CREATE TABLE updated AS SELECT k, v, 'row ' || k AS s FROM source WHERE k < 30",
                "INSERT INTO updated SELECT k, v, NULL FROM source WHERE k >= 30",
                "UPDATE updated SET v = v + 1000, s = 'changed' WHERE k % 3 = 0",
                "DELETE FROM updated WHERE k % 5 = 0",
                "UPDATE updated SET s = NULL WHERE v > 1020",
                "DELETE FROM updated WHERE s = 'changed' AND k < 10"):
        statement(t, sql)


def evolved(t, parquet):
    """Columns added, dropped, renamed, widened, and one that comes again under the name of another."""
    t.ingest("evolved", parquet("SELECT i::INTEGER AS k, i::INTEGER AS n, i::FLOAT / 3 AS f, (i / 10)::DECIMAL(5,2) AS d, "
                                "'x' || i AS old, i::DOUBLE AS gone, {'a': i::INTEGER} AS st FROM range(20) r(i)"))
    change_columns(t, "evolved", {"op": "rename", "name": "old", "to": "new"}, {"op": "drop", "name": "gone"})
    change_columns(t, "evolved", {"op": "widen", "name": "n", "type": "BIGINT"}, {"op": "widen", "name": "f", "type": "DOUBLE"},
                   {"op": "widen", "name": "d", "type": "DECIMAL(12,2)"}, {"op": "add", "name": "extra", "type": "DECIMAL(6,2)"})
    t.ingest("evolved", parquet("SELECT (i + 20)::INTEGER AS k, 9999999999 + i AS n, 1e300 AS f, 9999999999.99::DECIMAL(12,2) AS d, "
                                "'y' AS new, {'a': 1::INTEGER} AS st, 1.25::DECIMAL(6,2) AS extra FROM range(5) r(i)"), mode="append")
    change_columns(t, "evolved", {"op": "add", "name": "gone", "type": "VARCHAR"}, {"op": "rename", "name": "extra", "to": "old"})
    statement(t, "UPDATE evolved SET gone = 'back' WHERE k % 4 = 0")
    t.ingest("evolved", "k\n100\n101\n", mode="append", evolve="true")


def compacted(t, _parquet):
    t.ingest("compacted", csv(0, 200, "v"))
    for n in range(1, 6):
        t.ingest("compacted", csv(n * 1000, n * 1000 + 20, "w"), mode="append")
    delta(t, "compacted", "upsert", [{"k": i, "v": f"u{i}"} for i in range(0, 100, 3)])
    delta(t, "compacted", "delete", [{"k": i} for i in range(150, 1010)])
    ok(t.post("/query/compact", json={"dataset": "compacted", "deletes_share": 0}))
    delta(t, "compacted", "upsert", [{"k": 1, "v": "after"}])


def hidden(t, _parquet):
    """Rows under a tombstone; some of them came after it."""
    t.ingest("hidden", "k,who\n" + "".join(f"{i},person-{i % 7}\n" for i in range(70)))
    ok(t.post(f"{DATASET}hidden/tombstone", json={"row_key_column": "who", "row_key_values": ["person-3", "person-5"]}))
    t.ingest("hidden", "k,who\n100,person-3\n101,person-4\n", mode="append")


def erased(t, _parquet):
    """A person who left every file of every snapshot."""
    t.ingest("erased", "k,who\n" + "".join(f"{i},person-{i % 7}\n" for i in range(70)))
    t.ingest("erased", "k,who\n100,person-3\n101,person-4\n", mode="append")
    statement(t, "UPDATE erased SET who = 'person-9' WHERE k % 10 = 0")
    ok(t.post(f"{DATASET}erased/erase", json={"row_key_column": "who", "row_key_values": ["person-3"]}))
    t.ingest("erased", "k,who\n200,person-1\n", mode="append")


def large(t, parquet):
    """Several files, several row groups, with rows changed in each."""
    t.ingest("large", parquet("SELECT i::INTEGER AS k, (hash(i) >> 1)::BIGINT AS h, CASE WHEN i % 11 > 0 THEN 'text ' || i END AS s "
                              "FROM range(400000) r(i)"))
    statement(t, "DELETE FROM large WHERE k % 1000 = 7 OR k BETWEEN 200000 AND 210000")
    statement(t, "UPDATE large SET h = -1 WHERE k % 777 = 0")


BUILDERS = {f.__name__: f for f in (types, times_of_day, nested, empty, odd_names, appended, replaced, corrected, emptied, updated,
                                    evolved, compacted, hidden, erased, large)}
# A tombstone hides rows of older snapshots too, but in Tarn's own answers alone.
ONLY_NOW = {"hidden"}
