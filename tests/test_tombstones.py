"""Tombstones: keys whose rows nobody sees any more, until they are purged or brought back."""

import contextlib
import json
import os
import random
import threading
import time

import pytest
import requests

from conftest import Server, command, wait_until

SEED = int(os.environ.get("TARN_SEED") or time.time_ns() % 1_000_000)
SLOW = 4 if os.environ.get("TARN_SANITIZE") else 1
DATASET = "/catalog/datasets/by-name/"
PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"

# Values that have broken programs before; each must be found as the very text that it is.
HOSTILE = ["O'Brien", '"; DROP TABLE hostile; --', "' OR '1'='1", "日本語 🏔", "a\nb\tc", "x" * 1024, "ü" * 512, "", " ",
           " lead", "trail ", "%", "_", "\\", "\\u0041", "$1", "{}", "[1]", "null", "NULL", "true", "42", "042", "4.2",
           "2020-01-01", "é", "e\u0301", "A", "a", "\u2028", "\ufeff", "../../etc/passwd", "<b>"]


def ok(answer, status=200):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    return answer.json()


def refused(answer, status, *words):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    for word in words:
        assert word in answer.json()["detail"], answer.text
    return answer.json()


def tombstone(server, name, values, column="id", status=200, **more):
    body = {"row_key_column": column, "row_key_values": values, **more}
    return ok(server.post(f"{DATASET}{name}/tombstone", json=body), status)


def undo(server, name, values, status=200, **more):
    return ok(server.post(f"{DATASET}{name}/tombstone/undo", json={"row_key_values": values, **more}), status)


def listed(server, name, **params):
    return ok(server.get(f"{DATASET}{name}/tombstone", params=params))


def keys_of(server, name):
    """Everything on the list, page by page."""
    keys, cursor = [], {}
    while True:
        page = listed(server, name, limit=1000, **cursor)
        keys += [item["row_key_value"] for item in page["tombstones"]]
        if page["next"] is None:
            assert page["active"] == len(keys)
            return keys
        cursor = {"cursor": page["next"]}


def compact(server, name):
    return ok(server.post("/query/compact", json={"dataset": name}))


def codes(answer):
    return [(f["row_key_value"], f["code"]) for f in answer["failures"]]


def people(first, last):
    """Rows with a text as key."""
    return "id,city,n\n" + "".join(f"P-{i:05},city {i % 7},{i}\n" for i in range(first, last))


def visible(server, name, key="id"):
    return {row[0] for row in server.sql(f"SELECT {key} FROM {name}", format="arrays")}


def count(server, name):
    return server.value(f"SELECT count(*) FROM {name}")


def bytes_of(server, name):
    return sum(o["bytes"] for o in ok(server.get(DATASET + name))["objects"])


def stored(server, below):
    """(name, bytes) of each object of the primary bucket below a folder."""
    for folder, _, names in os.walk(f"{server.data}/primary/{below}"):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a checkpoint that another one has replaced
                with open(f"{folder}/{name}", "rb") as f:
                    data = f.read()
                yield f"{folder}/{name}", data


# The seed's own test

def test_three_of_a_hundred_thousand_candidates(tmp_path):
    """Hidden at once, there in __raw__, gone after compaction, and so it stays after a restart."""
    gone = ["CAND-000001", "CAND-000002", "CAND-000003"]
    named = ", ".join(f"'{key}'" for key in gone)
    server = Server(tmp_path / "data")
    try:
        chance = random.Random(17)
        server.ingest("candidates", "candidate_id,name,email,city,years\n" + "".join(
            f"CAND-{i:06},Person {chance.randrange(10**9)},{chance.randbytes(6).hex()}@example.org,"
            f"city {chance.randrange(311)},{chance.randrange(40)}\n" for i in range(1, 100_001)))
        before = bytes_of(server, "candidates")
        done = tombstone(server, "candidates", gone, "candidate_id", actor="privacy", reason="they asked for it")
        assert (done["rows_tombstoned"], done["keys_tombstoned"], done["failures"]) == (3, 3, [])
        assert count(server, "candidates") == 99_997
        assert count(server, "__raw__candidates") == 100_000
        assert server.sql(f"SELECT * FROM candidates WHERE candidate_id IN ({named})") == []
        assert len(server.sql(f"SELECT * FROM __raw__candidates WHERE candidate_id IN ({named})")) == 3
        page = listed(server, "candidates")
        assert [item["row_key_value"] for item in page["tombstones"]] == gone and page["row_key_column"] == "candidate_id"
        for item in page["tombstones"]:
            assert (item["actor"], item["reason"], item["rows"]) == ("privacy", "they asked for it", 1)
        compacted = compact(server, "candidates")
        assert (compacted["tombstones_applied"], compacted["rows_dropped_by_tombstones"]) == (3, 3)
        assert compacted["rows"] == 99_997
    finally:
        server.stop()
    server = Server(tmp_path / "data")
    try:
        assert count(server, "candidates") == count(server, "__raw__candidates") == 99_997
        assert server.sql(f"SELECT * FROM __raw__candidates WHERE candidate_id IN ({named})") == []
        assert 0.8 < bytes_of(server, "candidates") / before < 1.1, "not with the same compression"
        page = listed(server, "candidates")
        assert (page["tombstones"], page["active"], page["row_key_column"]) == ([], 0, None)
    finally:
        server.stop()


# Keys and what can be wrong with them

def test_integers_are_keys_like_texts(t):
    t.ingest("numbers", "id,v\n" + "".join(f"{i},{i}\n" for i in range(-5, 100)))
    done = tombstone(t, "numbers", [7, -3, "11"])
    assert (done["rows_tombstoned"], done["keys_tombstoned"], done["dataset"]) == (3, 3, "numbers")
    assert done["row_key_column"] == "id" and done["snapshot"] == ok(t.get(DATASET + "numbers"))["snapshot"]
    assert visible(t, "numbers") == set(range(-5, 100)) - {7, -3, 11}
    assert listed(t, "numbers")["tombstones"][0]["row_key_value"] == 7
    assert keys_of(t, "numbers") == [7, -3, 11]
    big = 2**63 - 1
    t.ingest("bigs", f"id\n{big}\n{-big}\n{big - 1}\n")
    tombstone(t, "bigs", [big])
    assert visible(t, "bigs") == {-big, big - 1} and keys_of(t, "bigs") == [big]


def test_all_rows_of_a_key_go(t):
    t.ingest("many", "id,v\n" + "".join(f"{'A' if i % 3 else 'B'},{i}\n" for i in range(3000)))
    done = tombstone(t, "many", ["A"])
    assert (done["rows_tombstoned"], done["keys_tombstoned"]) == (2000, 1)
    assert listed(t, "many")["tombstones"][0]["rows"] == 2000
    assert visible(t, "many") == {"B"} and count(t, "many") == 1000


def test_failures_are_told_value_by_value_and_the_rest_is_done(t):
    t.ingest("partly", people(0, 100))
    tombstone(t, "partly", ["P-00001"])
    asked = ["P-00001", "P-00002", "nobody", 12, 1.5, None, True, ["P-00003"], {"a": 1}, "P-00002", "P-00004"]
    done = tombstone(t, "partly", asked, status=207)
    assert (done["keys_tombstoned"], done["rows_tombstoned"]) == (2, 2)
    assert codes(done) == [("P-00001", "already_tombstoned"), ("nobody", "not_found"), (12, "wrong_type"),
                           (1.5, "wrong_type"), (None, "wrong_type"), (True, "wrong_type"),
                           (["P-00003"], "wrong_type"), ({"a": 1}, "wrong_type"), ("P-00002", "duplicate")]
    assert all(f["detail"] for f in done["failures"])
    assert visible(t, "partly") == {f"P-{i:05}" for i in range(100)} - {"P-00001", "P-00002", "P-00004"}


def test_a_call_of_which_nothing_can_be_done_changes_nothing(t):
    t.ingest("same", people(0, 10))
    before = ok(t.get(DATASET + "same"))["snapshot"]
    done = tombstone(t, "same", ["nobody", 1.5], status=207)
    assert codes(done) == [("nobody", "not_found"), (1.5, "wrong_type")]
    assert (done["keys_tombstoned"], done["rows_tombstoned"], done["snapshot"]) == (0, 0, None)
    assert codes(tombstone(t, "same", [None, 2.5], status=207)) == [(None, "wrong_type"), (2.5, "wrong_type")]
    assert ok(t.get(DATASET + "same"))["snapshot"] == before and listed(t, "same")["active"] == 0


def test_a_text_in_a_column_of_numbers_is_of_the_wrong_type(t):
    t.ingest("typed", "id\n1\n2\n")
    assert codes(tombstone(t, "typed", ["one", 2**40, 1], status=207)) in (
        [("one", "wrong_type"), (2**40, "wrong_type")], [("one", "wrong_type"), (2**40, "not_found")])
    assert visible(t, "typed") == {2}


def test_a_request_that_is_wrong_is_refused_with_a_word_on_what(t):
    t.ingest("strict", "id,x,at\nA1,1.5,2020-01-01\nB2,2.5,2021-01-01\n")
    path = DATASET + "strict/tombstone"

    def post(**body):
        return t.post(path, json=body)

    refused(post(row_key_values=["A1"]), 400, "row_key_column")
    refused(post(row_key_column="id"), 400, "row_key_values")
    refused(post(row_key_column="id", row_key_values=[]), 400, "row_key_values")
    refused(post(row_key_column="id", row_key_values="A1"), 400, "row_key_values")
    refused(post(row_key_column="id", row_key_values=["A1"], reasons="x"), 400, "reasons")
    refused(post(row_key_column="nothing", row_key_values=["A1"]), 400, "nothing")
    refused(post(row_key_column="x", row_key_values=["A1"]), 400, "x")
    refused(post(row_key_column="at", row_key_values=["2020-01-01"]), 400, "at")
    refused(post(row_key_column="id", row_key_values=["A1"], reason=7), 400, "reason")
    refused(post(row_key_column="id", row_key_values=["A1"], actor=["me"]), 400, "actor")
    refused(post(row_key_column="id", row_key_values=["A1"], purge_by="soon"), 400, "purge_by")
    refused(post(row_key_column="id", row_key_values=["A1"], purge_by=FUTURE, purge_not_before="2100-01-01"), 400)
    refused(post(row_key_column="id", row_key_values=["y" * 1025]), 413, "1024")
    refused(post(row_key_column="id", row_key_values=list(range(10_001))), 413, "10000")
    refused(t.post(DATASET + "nowhere/tombstone", json={"row_key_column": "id", "row_key_values": ["A1"]}), 404)
    refused(t.post(DATASET + "nowhere/tombstone/undo", json={"row_key_values": ["A1"]}), 404)
    refused(t.get(DATASET + "nowhere/tombstone"), 404)
    refused(t.get(path, params={"cursor": "x"}), 400, "cursor")
    refused(t.get(path, params={"overdue": "maybe"}), 400, "overdue")
    assert t.post(path, json={}, headers={"Authorization": None}).status_code == 401
    assert visible(t, "strict") == {"A1", "B2"} and listed(t, "strict")["active"] == 0


@pytest.mark.parametrize("member", ["reason", "actor"])
def test_neither_reason_nor_actor_may_name_the_subject(t, member):
    """Both stay in the journal for ever."""
    name = f"named_{member}"
    t.ingest(name, people(0, 5))
    for text in ("P-00001", "remove p-00001, please"):
        body = {"row_key_column": "id", "row_key_values": ["P-00001"], member: text}
        problem = refused(t.post(f"{DATASET}{name}/tombstone", json=body), 400, member)
        assert "P-00001" not in problem["detail"]
    assert count(t, name) == 5
    tombstone(t, name, ["P-00001"], **{member: "P-000011 is another"})
    body = {"row_key_values": ["P-00001"], member: "P-00001 again"}
    refused(t.post(f"{DATASET}{name}/tombstone/undo", json=body), 400, member)
    assert count(t, name) == 4


def test_hostile_values_are_the_texts_that_they_are(t):
    t.ingest("hostile", "".join(json.dumps({"id": v, "n": i}) + "\n" for i, v in enumerate([*HOSTILE, "good"])),
             format="ndjson")
    done = tombstone(t, "hostile", HOSTILE)
    assert (done["failures"], done["keys_tombstoned"]) == ([], len(HOSTILE))
    assert visible(t, "hostile") == {"good"} and keys_of(t, "hostile") == HOSTILE
    assert [r["row_key_value"] for r in t.sql("SELECT row_key_value FROM system.tombstones WHERE dataset = 'hostile'")] == HOSTILE
    for value in HOSTILE:
        undo(t, "hostile", [value])
        assert visible(t, "hostile") == {"good", value}
        tombstone(t, "hostile", [value])
    assert codes(tombstone(t, "hostile", ["É", "42 ", "b", "O''Brien", "null\u0020"], status=207)) == [
        (v, "not_found") for v in ("É", "42 ", "b", "O''Brien", "null ")]
    undo(t, "hostile", HOSTILE)
    assert visible(t, "hostile") == {"good", *HOSTILE} and listed(t, "hostile")["active"] == 0
    refused(t.post(DATASET + "hostile/tombstone", data=b'{"row_key_column":"id","row_key_values":["a\\u0000b"]}',
                   headers={"Content-Type": "application/json"}), 400)


def test_ten_thousand_keys_in_one_call(t):
    t.ingest("lots", people(0, 20_000))
    keys = [f"P-{i:05}" for i in range(0, 20_000, 2)]
    assert tombstone(t, "lots", keys)["rows_tombstoned"] == 10_000
    assert count(t, "lots") == 10_000 and t.value("SELECT count(*) FROM lots WHERE n % 2 = 0") == 0
    assert keys_of(t, "lots") == keys
    assert undo(t, "lots", keys[:9_000])["rows_restored"] == 9_000
    assert keys_of(t, "lots") == keys[9_000:] and count(t, "lots") == 19_000


# One column

def test_all_tombstones_of_a_dataset_are_by_one_column(t):
    t.ingest("columns", people(0, 20))
    tombstone(t, "columns", ["P-00001"])
    body = {"row_key_column": "n", "row_key_values": [5]}
    refused(t.post(DATASET + "columns/tombstone", json=body), 409, "id")
    refused(t.post(DATASET + "columns/tombstone/undo", json={"row_key_column": "n", "row_key_values": [1]}), 409, "id")
    assert count(t, "columns") == 19
    undo(t, "columns", ["P-00001"])
    assert tombstone(t, "columns", [5], "n")["row_key_column"] == "n"
    assert count(t, "columns") == 19


def test_tombstones_follow_a_column_that_is_renamed(t):
    t.ingest("renamed", people(0, 20))
    tombstone(t, "renamed", ["P-00001"])
    t.sql("ALTER TABLE renamed RENAME COLUMN id TO person")
    assert listed(t, "renamed")["row_key_column"] == "person" and count(t, "renamed") == 19
    t.ingest("renamed", "person,city,n\nP-00001,x,1\nP-00090,x,1\n", mode="append")
    assert count(t, "renamed") == 20
    tombstone(t, "renamed", ["P-00002"], "person")
    assert undo(t, "renamed", ["P-00001", "P-00002"], row_key_column="person")["rows_restored"] == 3


def test_a_dataset_that_is_renamed_keeps_its_tombstones(t):
    t.ingest("old_name", people(0, 10))
    tombstone(t, "old_name", ["P-00001"])
    ok(t.post(DATASET + "old_name/rename", json={"to": "new_name"}))
    assert keys_of(t, "new_name") == ["P-00001"] and count(t, "new_name") == 9


# Undo

def test_undo_brings_the_rows_back(t):
    t.ingest("back", people(0, 50))
    before = t.sql("SELECT * FROM back ORDER BY id")
    tombstone(t, "back", ["P-00001", "P-00002", "P-00003"])
    done = undo(t, "back", ["P-00001", "P-00003", "nobody", 1, None, "P-00001"], status=207, reason="the wrong ones")
    assert (done["keys_restored"], done["rows_restored"], done["row_key_column"]) == (2, 2, "id")
    assert [code for _, code in codes(done)][-1] == "duplicate" and len(done["failures"]) == 4
    assert dict(codes(done)[:2])["nobody"] == "not_tombstoned"
    assert keys_of(t, "back") == ["P-00002"] and count(t, "back") == 49
    undo(t, "back", ["P-00002"])
    assert t.sql("SELECT * FROM back ORDER BY id") == before
    again = undo(t, "back", ["P-00002"], status=207)
    assert codes(again) == [("P-00002", "not_tombstoned")] and again["snapshot"] is None


def test_rows_that_were_deleted_before_stay_deleted_after_an_undo(t):
    t.ingest("deleted", "id,v\nA,1\nA,2\nB,3\n")
    t.sql("DELETE FROM deleted WHERE v = 1")
    assert tombstone(t, "deleted", ["A"])["rows_tombstoned"] == 1
    assert undo(t, "deleted", ["A"])["rows_restored"] == 1
    assert t.sql("SELECT v FROM deleted ORDER BY v") == [{"v": 2}, {"v": 3}]


def test_after_compaction_nothing_is_left_to_undo(t):
    t.ingest("purged", people(0, 50))
    tombstone(t, "purged", ["P-00007"])
    assert compact(t, "purged")["tombstones_applied"] == 1
    assert codes(undo(t, "purged", ["P-00007"], status=207)) == [("P-00007", "not_tombstoned")]
    assert codes(tombstone(t, "purged", ["P-00007"], status=207)) == [("P-00007", "not_found")]
    assert count(t, "__raw__purged") == 49


# Rows that come later

def by_file(t, name, first, last):
    t.ingest(name, people(first, last), mode="append")


def by_delta(t, name, first, last):
    rows = [{"id": f"P-{i:05}", "city": "delta", "n": i} for i in range(first, last)]
    ok(t.post("/ingest/delta", json={"dataset": name, "mode": "append", "rows": rows}))


def by_upsert(t, name, first, last):
    rows = [{"id": f"P-{i:05}", "city": "upsert", "n": i} for i in range(first, last)]
    ok(t.post("/ingest/delta", json={"dataset": name, "mode": "upsert", "key": "id", "rows": rows}))


def by_upsert_file(t, name, first, last):
    t.ingest(name, people(first, last), mode="upsert", key="id")


def by_insert(t, name, first, last):
    t.sql(f"INSERT INTO {name} SELECT printf('P-%05d', i), 'insert', i FROM range({first}, {last}) r(i)")


def by_replacing_sql(t, name, first, last):
    t.sql(f"CREATE OR REPLACE TABLE {name} AS SELECT id, city, n FROM {name} UNION ALL "
          f"SELECT printf('P-%05d', i), 'replaced', i FROM range({first}, {last}) r(i)")


def by_replacing_file(t, name, first, last):
    t.ingest(name, people(first, last), mode="replace")


@pytest.mark.parametrize("bring", [by_file, by_delta, by_upsert, by_upsert_file, by_insert, by_replacing_sql,
                                   by_replacing_file], ids=lambda f: f.__name__)
def test_rows_that_come_later_are_hidden_by_the_commit_that_brings_them(t, bring):
    name = f"later_{bring.__name__}"
    t.ingest(name, people(0, 10))
    tombstone(t, name, ["P-00003", "P-00004"])
    for _ in range(2):
        bring(t, name, 3, 30)
        assert not visible(t, name) & {"P-00003", "P-00004"}
        assert t.sql(f"SELECT * FROM {name} WHERE id IN ('P-00003', 'P-00004')") == []
        assert {"P-00005", "P-00029"} <= visible(t, name)
    assert "P-00003" in visible(t, f"__raw__{name}")
    for snapshot in ok(t.get(f"{DATASET}{name}"))["snapshots"][:2]:
        assert t.value(f"SELECT count(*) FROM {name} AT (VERSION => {snapshot['id']}) WHERE id = 'P-00003'") == 0
    assert keys_of(t, name) == ["P-00003", "P-00004"]
    undo(t, name, ["P-00003"])
    assert t.value(f"SELECT count(*) FROM {name} WHERE id = 'P-00003'") >= 1 and "P-00004" not in visible(t, name)


def test_a_row_that_is_changed_to_a_hidden_key_is_hidden(t):
    t.ingest("turned", people(0, 10))
    tombstone(t, "turned", ["P-00003"])
    t.sql("UPDATE turned SET id = 'P-00003' WHERE id = 'P-00008'")
    assert visible(t, "turned") == {f"P-{i:05}" for i in range(10)} - {"P-00003", "P-00008"}


def test_hidden_rows_are_not_found_by_statements_that_write(t):
    t.ingest("blind", people(0, 10))
    tombstone(t, "blind", ["P-00003"])
    assert t.sql("UPDATE blind SET city = 'seen' WHERE id = 'P-00003'") == [{"rows_affected": 0}]
    assert t.sql("DELETE FROM blind WHERE n = 3") == [{"rows_affected": 0}]
    t.sql("CREATE TABLE blind_copy AS SELECT * FROM blind")
    assert count(t, "blind_copy") == 9
    undo(t, "blind", ["P-00003"])
    assert t.sql("SELECT city FROM blind WHERE n = 3") == [{"city": "city 3"}]


# Every door

def test_the_hot_cache_hides_at_once(t):
    t.ingest("hot", people(0, 5000))
    ok(t.post("/query/cache/pin", json={"dataset": "hot"}))
    assert count(t, "hot") == 5000
    tombstone(t, "hot", ["P-00100", "P-00200"])
    assert t.sql("SELECT * FROM hot WHERE id IN ('P-00100', 'P-00200')") == []
    hits, misses = t.metric("hot_hits"), t.metric("hot_misses")
    assert count(t, "hot") == 4998
    assert (t.metric("hot_hits"), t.metric("hot_misses")) == (hits + 1, misses), "memory was not asked"
    assert count(t, "__raw__hot") == 5000
    undo(t, "hot", ["P-00100"])
    assert count(t, "hot") == 4999 and len(t.sql("SELECT * FROM hot WHERE id = 'P-00100'")) == 1
    compact(t, "hot")
    assert count(t, "hot") == count(t, "__raw__hot") == 4999


def test_time_travel_hides_too(t):
    t.ingest("travel", people(0, 20))
    first = ok(t.get(DATASET + "travel"))["snapshot"]
    t.ingest("travel", people(20, 40), mode="append")
    tombstone(t, "travel", ["P-00001", "P-00025"])
    assert t.value(f"SELECT count(*) FROM travel AT (VERSION => {first})") == 19
    assert t.sql(f"SELECT * FROM travel AT (VERSION => {first}) WHERE id = 'P-00001'") == []
    assert t.value(f"SELECT count(*) FROM __raw__travel AT (VERSION => {first})") == 20
    assert t.sql("SELECT * FROM travel AT (TIMESTAMP => '2098-01-01') WHERE id = 'P-00025'") == []
    undo(t, "travel", ["P-00001"])
    assert t.value(f"SELECT count(*) FROM travel AT (VERSION => {first})") == 20


def test_a_rollback_does_not_bring_hidden_rows_back(t):
    t.ingest("rolled", people(0, 20))
    first = ok(t.get(DATASET + "rolled"))["snapshot"]
    tombstone(t, "rolled", ["P-00001"])
    ok(t.post(DATASET + "rolled/rollback", json={"version": first}))
    assert count(t, "rolled") == 19 and keys_of(t, "rolled") == ["P-00001"]


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"])
def test_every_form_of_an_answer_hides(t, accept):
    name = "form_" + "".join(c for c in accept if c.isalpha())
    t.ingest(name, people(0, 50))
    assert b"P-00007" in t.query(f"SELECT * FROM {name}", accept=accept).content
    tombstone(t, name, ["P-00007"])
    assert b"P-00007" not in t.query(f"SELECT * FROM {name}", accept=accept).content


# The purge clock

def test_rows_that_must_be_kept_are_not_purged(t):
    t.ingest("kept", people(0, 100))
    tombstone(t, "kept", ["P-00001"], purge_not_before=FUTURE)
    tombstone(t, "kept", ["P-00002"], purge_not_before=PAST, purge_by=FUTURE)
    done = compact(t, "kept")
    assert (done["tombstones_applied"], done["rows_dropped_by_tombstones"]) == (0, 0)
    assert count(t, "kept") == 98 and count(t, "__raw__kept") == 100
    undo(t, "kept", ["P-00001"])
    assert compact(t, "kept")["tombstones_applied"] == 1
    assert count(t, "kept") == count(t, "__raw__kept") == 99 and keys_of(t, "kept") == []


def test_what_is_overdue_is_reported(tarn):
    t = tarn
    for name in ("a", "b", "c", "d"):
        t.ingest(name, people(0, 20))
    tombstone(t, "b", ["P-00001", "P-00002"], purge_by="2020-05-01T00:00:00+02:00")
    tombstone(t, "b", ["P-00003"], purge_by=FUTURE, purge_not_before="2098-01-01")
    tombstone(t, "c", ["P-00001"])
    tombstone(t, "d", ["P-00001"], purge_by=PAST)
    page = listed(t, "b")
    assert [i["overdue"] for i in page["tombstones"]] == [True, True, False] and page["overdue"] == 2
    assert page["tombstones"][0]["purge_by"] == "2020-04-30T22:00:00.000000Z"
    assert page["tombstones"][2]["purge_not_before"].startswith("2098-01-01T00:00:00")
    assert [i["row_key_value"] for i in listed(t, "b", overdue="true", limit=1)["tombstones"]] == ["P-00001"]
    late = listed(t, "b", overdue="true")
    assert [i["row_key_value"] for i in late["tombstones"]] == ["P-00001", "P-00002"]
    assert (late["active"], late["overdue"], late["next"]) == (3, 2, None)

    def report(**params):
        return ok(t.get("/catalog/tombstones", params=params))

    shown = {d.pop("dataset"): d for d in report()["datasets"]}
    assert shown["b"] == {"row_key_column": "id", "active": 3, "held": 1, "overdue": 2,
                          "oldest_purge_by": "2020-04-30T22:00:00.000000Z"}
    assert shown["c"] == {"row_key_column": "id", "active": 1, "held": 0, "overdue": 0, "oldest_purge_by": None}
    assert set(shown) == {"b", "c", "d"}
    assert [d["dataset"] for d in report(overdue="true")["datasets"]] == ["b", "d"]
    assert "P-0000" not in t.get("/catalog/tombstones").text
    first = report(limit=1)
    assert [d["dataset"] for d in first["datasets"]] == ["b"]
    second = report(limit=2, cursor=first["next"])
    assert [d["dataset"] for d in second["datasets"]] == ["c", "d"] and second["next"] is None
    assert (t.metric("tombstones"), t.metric("tombstones_overdue")) == (5, 3)
    compact(t, "d")
    assert [d["dataset"] for d in report(overdue="true")["datasets"]] == ["b"]
    assert (t.metric("tombstones"), t.metric("tombstones_overdue")) == (4, 2)


# Lists

def test_the_list_comes_in_pages_from_which_nothing_is_lost(t):
    t.ingest("paged", people(0, 100))
    tombstone(t, "paged", [f"P-{i:05}" for i in range(10)], actor="first")
    tombstone(t, "paged", [f"P-{i:05}" for i in range(10, 25)], actor="second")
    keys, cursor = [], {}
    while True:
        page = listed(t, "paged", limit=4, **cursor)
        assert len(page["tombstones"]) <= 4 and page["active"] == 25
        keys += [i["row_key_value"] for i in page["tombstones"]]
        if page["next"] is None:
            break
        assert "P-0" not in page["next"]
        cursor = {"cursor": page["next"]}
    assert keys == [f"P-{i:05}" for i in range(25)]
    half = listed(t, "paged", limit=12)
    undo(t, "paged", ["P-00003", "P-00010"])
    rest = listed(t, "paged", cursor=half["next"])
    assert [i["row_key_value"] for i in rest["tombstones"]] == [f"P-{i:05}" for i in range(12, 25)]


def test_who_when_and_why_are_listed(tarn):
    t = tarn
    ann = ok(t.post("/auth/tokens", json={"principal": "ann", "roles": ["admin"]}), 201)["token"]
    t.ingest("why", people(0, 20))
    started = time.time()
    body = {"row_key_column": "id", "row_key_values": ["P-00001"], "actor": "data protection", "reason": "request 17"}
    ok(t.post(DATASET + "why/tombstone", json=body, headers={"Authorization": f"Bearer {ann}"}))
    tombstone(t, "why", ["P-00002"])
    [one, two] = listed(t, "why")["tombstones"]
    assert (one["actor"], one["principal"], one["reason"]) == ("data protection", "ann", "request 17")
    assert (two["actor"], two["principal"], two["reason"]) == ("admin", "admin", None)
    assert (one["purge_not_before"], one["purge_by"], one["overdue"]) == (None, None, False)
    told = time.strptime(one["tombstoned_at"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(started - (time.mktime(told) - time.timezone)) < 600
    undo(t, "why", ["P-00001"], reason="taken back", actor="the boss")

    def entry(action):
        [found] = ok(t.get("/journal", params={"action": action, "subject": one["subject"]}))["entries"]
        return found

    made = entry("dataset.tombstone")
    assert (made["actor"], made["reason"], made["target"]) == ("ann", "request 17", "dataset:why")
    assert made["details"]["on_behalf_of"] == "data protection" and one["subject"] in json.dumps(made["details"])
    back = entry("dataset.tombstone_undo")
    assert (back["actor"], back["reason"], back["details"]["on_behalf_of"]) == ("admin", "taken back", "the boss")


def test_system_tombstones_is_a_table(t):
    t.ingest("asked", people(0, 20))
    tombstone(t, "asked", ["P-00001"], actor="clerk", reason="by law", purge_by=PAST)
    tombstone(t, "asked", ["P-00002"])
    rows = t.sql("SELECT * FROM system.tombstones WHERE dataset = 'asked' ORDER BY row_key_value")
    assert list(rows[0]) == ["dataset", "row_key_column", "row_key_value", "actor", "principal", "reason", "tombstoned_at",
                             "rows", "purge_not_before", "purge_by", "overdue", "subject"]
    one, two = rows
    assert (one["row_key_column"], one["row_key_value"], one["actor"], one["reason"]) == ("id", "P-00001", "clerk", "by law")
    assert (one["rows"], one["overdue"], one["purge_not_before"]) == (1, True, None) and one["purge_by"].startswith("2020-01-01")
    assert (two["actor"], two["reason"], two["overdue"], two["purge_by"]) == ("admin", None, False, None)
    assert one["subject"] == listed(t, "asked")["tombstones"][0]["subject"]
    assert t.value("SELECT count(*) FROM system.tombstones WHERE dataset = 'asked' AND tombstoned_at <= now()") == 2
    assert t.value("SELECT count(*) FROM system.tombstones WHERE dataset = 'no such'") == 0


# No value of a person in the log

def test_no_key_ever_stands_in_the_log(tmp_path):
    """Whatever is asked for, done, refused, undone or purged."""
    server = Server(tmp_path / "data", "--catalog-checkpoint-every", "2")
    secret = "Zaphod-Beeblebrox"
    keys = [f"{secret}-{i}" for i in range(40)]
    number = 739_184_620_517
    try:
        server.ingest("p", "id,n\n" + "".join(f"{key},{number + i}\n" for i, key in enumerate(keys)))
        tombstone(server, "p", keys[:20], reason="first", actor="someone", purge_by=PAST)
        tombstone(server, "p", [keys[0], f"{secret}-none", 5, keys[21], keys[21]], status=207)
        server.post(DATASET + "p/tombstone", json={"row_key_column": "n", "row_key_values": [number + 30]})
        for member in ("reason", "actor"):
            refused(server.post(DATASET + "p/tombstone", json={
                "row_key_column": "id", "row_key_values": [keys[30]], member: f"{keys[30]} wants it"}), 400)
        server.ingest("p", f"id,n\n{keys[1]},5\n{keys[2]},6\n", mode="append")
        server.sql(f"INSERT INTO p VALUES ('{keys[3]}', 7)")
        server.query(f"SELECT * FROM p WHERE id = '{keys[1]}'")
        undo(server, "p", keys[:5], reason="back")
        server.post(DATASET + "p/tombstone/undo", json={"row_key_values": [keys[39]], "row_key_column": "n"})
        compact(server, "p")
        tombstone(server, "p", [number + 31], "n", reason="a number")
        undo(server, "p", [number + 31])
        for folder in ("log", "checkpoint", "archive"):
            for name, data in stored(server, f"_catalog/{folder}"):
                assert secret.encode() not in data and str(number)[:10].encode() not in data, name
        assert secret not in server.get("/journal?limit=1000").text
        assert len(list(stored(server, "_catalog/log"))) + len(list(stored(server, "_catalog/checkpoint"))) > 5
        assert secret not in server.log, "nor in the server's own log"
        assert keys_of(server, "p") == []
        # Older snapshots are looked at without what was purged, so its keys are known until they expire.
        ok(server.post(DATASET + "p/expire", json={"max_age_ms": 0, "keep_min": 1}))
        for name, data in stored(server, "_catalog/content"):
            assert secret.encode() not in data and str(number)[:10].encode() not in data, f"{name} is left over"
    finally:
        server.stop()


def test_a_refused_attempt_leaves_no_key_in_the_journal(tarn):
    """Wherever it stood, and whether or not somebody has looked at the keys when it is refused."""
    tarn.ingest("people", people(0, 10))
    path, why = DATASET + "people/tombstone", "for P-00005"
    body = {"row_key_column": "id", "row_key_values": ["P-00005"]}
    for at, params, json_body in (
            (path, {}, {**body, "reason": why}), (path, {}, {**body, "actor": why}), (path, {"reason": why}, body),
            (path, {"reason": why}, {**body, "row_key_column": "P-00005"}), (path, {"reason": why}, ["no object"]),
            (path, {"reason": why, "raeson": "x"}, body), (path + "/undo", {"reason": why}, body),
            (path + "/undo", {}, {"row_key_values": ["P-00005"], "reason": why})):
        refused(tarn.post(at, json=json_body, params=params), 400)
    notes = wait_until(lambda: (found := tarn.told(outcome="refused")) and len(found) >= 8 and found)
    assert {(n["action"], n["target"], n["outcome"]) for n in notes} == {
        ("dataset.tombstone", "dataset:people", "invalid_argument"),
        ("dataset.tombstone_undo", "dataset:people", "invalid_argument")}
    for name, data in stored(tarn, "_catalog"):
        assert b"P-0000" not in data, name


# Several servers, restarts, kills

def test_a_restart_changes_nothing(tmp_path):
    server = Server(tmp_path / "data")
    try:
        server.ingest("r", people(0, 100))
        tombstone(server, "r", ["P-00001", "P-00002"], actor="a", reason="b", purge_by=PAST, purge_not_before=PAST)
        server.ingest("r", people(0, 3), mode="append")
        before = listed(server, "r"), visible(server, "r")
    finally:
        server.stop()
    server = Server(tmp_path / "data")
    try:
        assert (listed(server, "r"), visible(server, "r")) == before
        server.ingest("r", people(2, 5), mode="append")
        assert visible(server, "r") == before[1]
        assert undo(server, "r", ["P-00001"])["rows_restored"] == 2
    finally:
        server.stop()


def test_two_servers_hide_alike(serve):
    a, b = (serve("--catalog-poll-interval", "60s") for _ in range(2))

    def after(answer):
        return {"X-Tarn-Seq": answer.headers["X-Tarn-Seq"]}

    made = a.upload("twin", people(0, 100))
    ok(b.post("/query/cache/pin", json={"dataset": "twin"}, headers=after(made)))
    body = {"row_key_column": "id", "row_key_values": ["P-00001"]}
    done = a.post(DATASET + "twin/tombstone", json=body)
    assert ok(done)["rows_tombstoned"] == 1
    assert ok(b.query("SELECT count(*) AS n FROM twin", headers=after(done)))["rows"] == [{"n": 99}]
    # A server that has not seen the tombstone yet brings the key again: its commit is tried anew, and hides.
    more = b.upload("twin", people(0, 10), mode="append")
    assert more.status_code in (200, 201), more.text
    shown = ok(a.query("SELECT count(*) AS n FROM twin WHERE id = 'P-00001'", headers=after(more)))
    assert shown["rows"] == [{"n": 0}]
    late = ok(b.post(DATASET + "twin/tombstone", json={**body, "row_key_values": ["P-00001", "P-00002"]}), 207)
    assert codes(late) == [("P-00001", "already_tombstoned")]
    assert keys_of(b, "twin") == ["P-00001", "P-00002"]


def test_a_commit_that_races_with_a_tombstone_hides_its_rows(serve):
    """Two servers, one that brings a key again and again and one that hides it meanwhile."""
    a, b = (serve("--catalog-poll-interval", "20ms") for _ in range(2))
    a.ingest("race", people(0, 50))
    wait_until(lambda: b.get(DATASET + "race").status_code == 200)
    failures = []

    def bring(server, number):
        try:
            for i in range(8):
                server.ingest("race", people(0, 50) if number else people(100 * i, 100 * i + 50), mode="append")
        except AssertionError as e:
            failures.append(str(e))

    writers = [threading.Thread(target=bring, args=(server, n)) for n, server in enumerate((a, b))]
    for writer in writers:
        writer.start()
    last = None
    for i in range(0, 40, 5):
        last = (a if i % 2 else b).post(DATASET + "race/tombstone", json={
            "row_key_column": "id", "row_key_values": [f"P-{n:05}" for n in range(i, i + 5)]})
        assert ok(last)["keys_tombstoned"] == 5
    for writer in writers:
        writer.join()
    assert failures == []
    for server in (a, b):
        server.get("/catalog/datasets", headers={"X-Tarn-Seq": last.headers["X-Tarn-Seq"]})
        seen = wait_until(lambda s=server: visible(s, "race"))
        assert not seen & {f"P-{n:05}" for n in range(40)} and "P-00041" in seen
    assert sorted(keys_of(a, "race")) == [f"P-{n:05}" for n in range(40)]


class Hider:
    """Hides and brings back keys, one call after the other, and knows what each answer promised."""

    def __init__(self, chance):
        self.chance = chance
        self.hidden = set()
        self.pending = None
        self.acknowledged = 0
        self.refusals = []

    def run(self, server):
        session = requests.Session()
        session.trust_env = False
        while True:
            back = self.hidden and (len(self.hidden) == 400 or self.chance.random() < 0.4)
            pool = self.hidden if back else set(range(400)) - self.hidden
            keys = self.chance.sample(sorted(pool), min(len(pool), self.chance.choice([1, 3, 40])))
            self.pending = self.hidden - set(keys) if back else self.hidden | set(keys)
            body = {"row_key_values": [f"P-{i:05}" for i in keys], "row_key_column": "id"}
            try:
                answer = session.post(f"{server.url}{DATASET}k/tombstone{'/undo' if back else ''}", json=body, timeout=60,
                                      headers={"Authorization": f"Bearer {server.token}"})
            except requests.RequestException:
                return
            if answer.status_code == 200:
                self.hidden, self.acknowledged = self.pending, self.acknowledged + 1
            elif answer.status_code != 503:
                self.refusals.append(answer.text)
                return

    def check(self, server):
        """The old state or the new one, and list and rows agree."""
        assert self.refusals == []
        there = {int(key[2:]) for key in keys_of(server, "k")}
        assert there in (self.hidden, self.pending)
        assert visible(server, "k") == {f"P-{i:05}" for i in set(range(400)) - there}
        assert count(server, "__raw__k") == 400
        self.hidden, self.pending = there, there


def test_a_kill_in_the_middle_leaves_the_old_or_the_new(tmp_path):
    print(f"TARN_SEED={SEED}")
    chance = random.Random(SEED)
    data = tmp_path / "data"
    server = Server(data)
    server.ingest("k", people(0, 200))
    server.ingest("k", people(200, 400), mode="append")
    hider = Hider(random.Random(SEED + 1))
    for _ in range(12):
        writer = threading.Thread(target=hider.run, args=(server,))
        writer.start()
        time.sleep(chance.uniform(0.01, 0.5) * SLOW)
        server.kill()
        writer.join()
        done = command("journal", "verify", "--data", str(data), server=server)
        assert done.returncode == 0, done.stdout + done.stderr
        server = Server(data)
        hider.check(server)
    server.stop()
    done = command("fsck", "--data", str(data), server=server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert hider.acknowledged > 12, "hardly anything was done"


# The command line

def test_the_command_line_hides_lists_and_brings_back(t, tmp_path):
    t.ingest("by_hand", people(0, 50))
    done = command("tombstone", "by_hand", "P-00001", "P-00002", "--column", "id", "--reason", "by hand",
               "--actor", "clerk", "--purge-by", "2020-01-01", "--purge-not-before", "2019-01-01", server=t)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.split() == ["keys", "hidden", "2", "rows", "hidden", "2"]
    (tmp_path / "keys.txt").write_text("P-00003\r\n\nP-00004\nnobody\n")
    done = command("tombstone", "by_hand", "--keys-from", str(tmp_path / "keys.txt"), "--column", "id", "--purge-by", "30d", server=t)
    assert done.returncode == 1 and "1 of 3" in done.stderr
    assert "nobody" in done.stdout and "not_found" in done.stdout
    done = command("tombstone", "by_hand", "P-00005", "--keys-from", "-", "--column", "id", "--json", stdin="P-00006\n", server=t)
    assert done.returncode == 0 and json.loads(done.stdout)["keys_tombstoned"] == 2
    assert count(t, "by_hand") == 44
    shown = command("tombstone", "by_hand", "--list", server=t)
    assert shown.returncode == 0 and len(shown.stdout.splitlines()) >= 7
    assert all(word in shown.stdout for word in ("P-00001", "P-00006", "clerk", "by hand", "2020-01-01", "yes"))
    late = command("tombstone", "by_hand", "--list", "--overdue", server=t)
    assert "P-00002" in late.stdout and "P-00003" not in late.stdout
    lines = [json.loads(line) for line in command("tombstone", "by_hand", "--list", "--json", server=t).stdout.splitlines()]
    assert [i["row_key_value"] for i in lines] == [f"P-{i:05}" for i in range(1, 7)]
    report = command("tombstone", "--overdue", server=t)
    assert report.returncode == 0 and "by_hand" in report.stdout and "P-0000" not in report.stdout
    done = command("tombstone", "by_hand", "--undo", "P-00001", "P-00003", "--reason", "not these", server=t)
    assert done.returncode == 0 and done.stdout.split() == ["keys", "restored", "2", "rows", "restored", "2"]
    assert count(t, "by_hand") == 46


def test_the_command_line_ends_with_the_code_of_what_went_wrong(t):
    t.ingest("codes", "id,n\n1,1\n2,2\n3,3\n")
    for code, words in ((0, ["codes", "1", "--column", "id"]), (3, ["codes", "77", "--column", "id"]),
                        (1, ["codes", "77", "one", "--column", "id"]), (5, ["codes", "2", "--column", "n"]),
                        (2, ["codes", "2"]), (2, ["codes", "--column", "id"]), (2, ["codes", "2", "--list"]),
                        (2, ["codes", "2", "--column", "id", "--purge-by", "soon"]), (2, []),
                        (2, ["codes", "--undo", "1", "--purge-by", "30d"]),
                        (3, ["nowhere", "1", "--column", "id"]), (3, ["nowhere", "--list"]),
                        (3, ["codes", "--undo", "2"]), (0, ["codes", "--undo", "1"])):
        done = command("tombstone", *words, server=t)
        assert done.returncode == code, (words, done)
        assert (done.stderr == "") == (code == 0), (words, done)


def test_compact_tells_of_tombstones(t):
    t.ingest("told", people(0, 50))
    tombstone(t, "told", ["P-00001"])
    done = command("compact", "told", server=t)
    assert done.returncode == 0
    assert [line.split()[-1] for line in done.stdout.splitlines() if "tombstone" in line] == ["1", "1"]
