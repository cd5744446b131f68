"""The journal: who did what to what, why and with what outcome; filters; refused attempts; what it never holds; verification."""

import hashlib
import json
import os
import random
import shutil
import subprocess

import pytest
from conftest import TARN, Server, bearer, command, wait_until

DATASETS = "/catalog/datasets/by-name/"


def seal(record):
    text = json.dumps(record, separators=(",", ":"))[:-1]
    return f'{text},"sha256":"{hashlib.sha256(text.encode()).hexdigest()}"}}\n'


class Log:
    """The log of a server that is down, to be written on."""

    def __init__(self, data):
        self.folder = f"{data}/primary/_catalog/log"
        self.seq = max(int(name.split(".")[0]) for name in os.listdir(self.folder))
        self.hash = hashlib.sha256(self.bytes(self.seq)).hexdigest()

    def path(self, seq):
        return f"{self.folder}/{seq:020d}.json"

    def bytes(self, seq):
        with open(self.path(seq), "rb") as f:
            return f.read()

    def add(self, *transactions):
        self.seq += 1
        text = seal({"v": 1, "seq": self.seq, "prev_sha256": self.hash, "time": "2026-01-01T00:00:00.000000Z", "node": "test",
                     "transactions": transactions})
        self.hash = hashlib.sha256(text.encode()).hexdigest()
        with open(self.path(self.seq), "w", encoding="ascii") as f:
            f.write(text)


def transaction(number, **members):
    return {"id": f"01TEST{number:020d}", "actor": "test", "action": "test.set", "reason": "", "target": "test", "changes": [], **members}


def entries(server, **filters):
    """All entries that fit, newest first, page by page."""
    found, cursor = [], None
    while True:
        answer = server.get("/journal", params={**filters, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["entries"]
        cursor = page["next"]
        if not cursor:
            return found


def newest(server, **filters):
    """Of what was done, unless it is asked for otherwise: refusals come a moment later."""
    return server.told(**{"outcome": "done", **filters})[0]


def refused(server, count, **filters):
    """The refusals that fit, once there are so many: they are written a moment after the answer."""
    return wait_until(lambda: (lambda e: e if len(e) >= count else None)(entries(server, outcome="refused", **filters)))


def facts(done):
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line.strip())


# What is told of changes

def test_every_kind_of_change_tells_who_what_why_and_how_much(t):
    path = DATASETS + "kinds"

    def told(action, reason, **details):
        e = newest(t)
        assert (e["actor"], e["action"], e["target"], e["reason"], e["outcome"]) == ("admin", action, "dataset:kinds", reason, "done"), e
        for key, value in details.items():
            assert e["details"][key] == value, (key, e["details"])
        return e

    t.ingest("kinds", "id,name\n1,a\n2,b\n3,c\n", reason="r1")
    e = told("dataset.create", "r1", rows_added=3, total_rows=3, files_added=1, total_files=1, operation="append")
    assert e["changes"][0] == {"entity": "dataset:kinds", "change": "created"} and e["details"]["snapshot"] > 0
    assert e["node"] and e["seq"] > 0 and len(e["id"]) == 26 and e["time"].endswith("Z")
    t.ingest("kinds", "id,name\n4,d\n", mode="append", reason="r2")
    e = told("dataset.append", "r2", rows_added=1, total_rows=4)
    assert {"entity": "dataset:kinds", "change": "changed"} in e["changes"]
    answer = t.post("/ingest/delta", json={"dataset": "kinds", "mode": "upsert", "key": "id", "rows": [{"id": 4, "name": "dd"}], "reason": "r3"})
    assert answer.status_code == 200, answer.text
    told("dataset.upsert", "r3", rows_added=1, total_rows=4)
    t.sql("UPDATE kinds SET name = 'x' WHERE id = 1", reason="r4")
    told("sql.update", "r4", rows_added=1, rows_deleted=1, total_rows=4, delete_files_added=1)
    t.sql("DELETE FROM kinds WHERE id = 2", reason="r5")
    told("sql.delete", "r5", rows_deleted=1, total_rows=3)
    t.sql("INSERT INTO kinds VALUES (9, 'z')", reason="r6")
    told("sql.insert", "r6", rows_added=1, total_rows=4)

    answer = t.post(path + "/columns", json={"reason": "r7", "changes": [
        {"op": "add", "name": "note", "type": "VARCHAR"}, {"op": "rename", "name": "name", "to": "called"}]})
    assert answer.status_code == 200, answer.text
    e = told("dataset.columns", "r7", total_rows=4)
    assert e["details"]["columns"] == [{"change": "changed", "name": "called", "was": "name", "type": "string"},
                                       {"change": "added", "name": "note", "type": "string"}]
    assert "snapshot" not in e["details"]
    t.sql("ALTER TABLE kinds DROP COLUMN note", reason="r8")
    told("sql.alter", "r8", columns=[{"change": "dropped", "name": "note", "type": "string"}])

    answer = t.post("/query/compact?reason=r9", json={"dataset": "kinds"})
    assert answer.status_code == 200 and answer.json()["files_written"] == 1, answer.text
    told("dataset.compact", "r9", operation="replace", total_rows=4, total_files=1, files_added=1, snapshot=answer.json()["snapshot"])
    answer = t.post(path + "/rollback?reason=r10", json={"version": 1})
    assert answer.status_code == 200, answer.text
    told("dataset.rollback", "r10", snapshot=answer.json()["to"], from_snapshot=answer.json()["from"], total_rows=3)
    answer = t.post(path + "/expire?reason=r11", json={"max_age_ms": 0, "keep_min": 1})
    assert answer.status_code == 200 and answer.json()["snapshots_removed"] > 0, answer.text
    told("dataset.expire", "r11", snapshots_removed=answer.json()["snapshots_removed"],
         objects_removed=answer.json()["objects_removed"], bytes_removed=answer.json()["bytes_removed"])

    answer = t.post(path + "/rename?reason=r12", json={"to": "kinds2"})
    assert answer.status_code == 200, answer.text
    e = newest(t)
    assert (e["action"], e["target"], e["reason"], e["details"]["was"]) == ("dataset.rename", "dataset:kinds2", "r12", "kinds")
    assert e["changes"] == [{"entity": "dataset:kinds", "change": "removed"}, {"entity": "dataset:kinds2", "change": "created"}]
    assert t.delete(DATASETS + "kinds2?reason=r13").status_code == 200
    e = newest(t)
    assert (e["action"], e["target"], e["reason"], e["details"]["rows"]) == ("dataset.drop", "dataset:kinds2", "r13", 3)
    assert e["changes"] == [{"entity": "dataset:kinds2", "change": "removed"}] and e["changes_left_out"] == 0


def test_orphans_that_are_removed_are_told_of_before_they_go(t):
    t.ingest("orphaned", "a\n1\n")
    folder = [f for f in os.listdir(t.data + "/primary/tables") if f.startswith("orphaned-")][0]
    stray = f"{t.data}/primary/tables/{folder}/data/stray.parquet"
    with open(stray, "w", encoding="ascii") as f:
        f.write("stray")
    os.utime(stray, (1_700_000_000, 1_700_000_000))
    answer = t.post(DATASETS + "orphaned/orphans?reason=tidy", json={})
    assert answer.status_code == 200 and answer.json()["orphans"] == 1, answer.text
    e = newest(t)
    assert (e["action"], e["target"], e["reason"]) == ("dataset.orphans", "dataset:orphaned", "tidy")
    assert e["details"]["objects_removed"] == 1 and e["details"]["bytes_removed"] == 5 and e["changes"] == []


def test_tokens_tell_whose_they_are(t):
    made = t.post("/auth/tokens", json={"principal": "ann", "roles": ["admin"]}).json()
    e = newest(t)
    assert (e["action"], e["target"], e["details"]["principal"], e["details"]["roles"]) == (
        "token.create", f"token:{made['id']}", "ann", ["admin"])
    assert e["changes"] == [{"entity": f"token:{made['id']}", "change": "created"}]
    t.delete(f"/auth/tokens/{made['id']}")
    e = newest(t)
    assert (e["action"], e["target"], e["details"]["principal"], e["changes"][0]["change"]) == (
        "token.revoke", f"token:{made['id']}", "ann", "removed")


def test_a_tombstone_tells_of_its_subjects_by_handle(t):
    t.ingest("subjects", "id,name\n1,a\n2,b\n3,c\n")
    done = t.post(DATASETS + "subjects/tombstone", json={"row_key_column": "id", "row_key_values": [1, 3], "reason": "asked"})
    assert done.status_code == 200, done.text
    e = newest(t)
    assert (e["action"], e["target"], e["reason"], e["details"]["keys"]) == ("dataset.tombstone", "dataset:subjects", "asked", 2)
    assert e["details"]["total_rows"] == 1 and len(e["details"]["subjects"]) == 2
    handle = e["details"]["subjects"][0]
    assert t.post(DATASETS + "subjects/tombstone/undo", json={"row_key_values": [1, 3], "reason": "not so"}).status_code == 200
    assert [x["action"] for x in entries(t, subject=handle)] == ["dataset.tombstone_undo", "dataset.tombstone"]
    answer = t.post(DATASETS + "subjects/tombstone", json={"row_key_column": "ghost", "row_key_values": [1], "reason": "why"})
    assert answer.status_code >= 400
    [e] = refused(t, 1, action="dataset.tombstone")
    assert (e["target"], e["reason"], e["outcome"]) == ("dataset:subjects", "", answer.json()["code"])


# Filters

@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A server with a journal of 12,000 records, the times of which lie long back."""
    data = tmp_path_factory.mktemp("long") / "data"
    first = Server(data)
    first.stop()
    log = Log(data)
    for i in range(12_000):
        log.add(transaction(i, actor=f"actor{i % 7}", action="zoo.open" if i % 1000 == 0 else "zoology.note", target=f"dataset:d{i % 5}",
                            **({"outcome": "not_found"} if i % 11 == 0 else {}),
                            **({"details": {"subjects": ["ab" * 16], "rows": 1}} if i == 17 else {})))
    server = Server(data)
    server.base = log.seq - 12_000
    yield server
    server.stop()


def test_filters_leave_what_was_asked_for(long):
    def numbers(**filters):
        return [e["seq"] - long.base - 1 for e in entries(long, limit=1000, **filters)]
    assert numbers(action="zoo.*") == numbers(action="zoo.") == list(range(11_000, -1, -1000))
    assert len(numbers(action="zoo*")) == 12_000
    assert numbers(action="zoo.open", actor="actor3") == [n for n in range(11_000, -1, -1000) if n % 7 == 3]
    assert numbers(outcome="not_found", target="dataset:d3") == [n for n in range(11_999, -1, -1) if n % 11 == 0 and n % 5 == 3]
    assert numbers(outcome="refused") == [n for n in range(11_999, -1, -1) if n % 11 == 0] == numbers(outcome="not_found")
    assert numbers(outcome="conflict") == []
    assert len(numbers(outcome="done", action="zoo*")) == 12_000 - len(numbers(outcome="refused"))
    assert numbers(subject="ab" * 16) == numbers(subject="AB" * 16) == [17]
    assert numbers(subject="cd" * 16) == []
    assert numbers(seq=long.base + 5) == [4] and numbers(seq=10**12) == []
    assert numbers(seq=long.base + 5, actor="nobody") == []
    assert len(numbers(to="2026-01-02T00:00:00Z")) == 12_000
    assert numbers(to="2026-01-01T00:00:00Z", action="zoo.*") == []
    assert len(numbers(**{"from": "2026-01-01T00:00:00Z"}, to="2026-01-01T00:00:00.000001Z")) == 12_000
    assert numbers(**{"from": "2026-01-01T00:00:00.000001Z"}, action="zoo.*") == []
    assert numbers(target="dataset:*", actor="actor1") == [n for n in range(11_999, -1, -1) if n % 7 == 1]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A server that was asked much and changed little."""
    server = Server(tmp_path_factory.mktemp("asked") / "data")
    server.ingest("people", "id,email\n1,a@example.org\n", reason="the only change")
    server.ingest("towns", "id\n1\n")
    view = {"name": "safe", "base_dataset": "people", "columns": ["id"]}
    assert server.post("/catalog/views", json=view).status_code == 201
    for sql in ("SELECT * FROM people", "SELECT * FROM safe", "SELECT * FROM towns", "SELECT * FROM people, towns", "SELECT 1",
                "SELECT * FROM nothing_here", "SELECT id + email FROM people", "SELEC", "CREATE TABLE copied AS SELECT id FROM safe"):
        server.query(sql)
    for what in ({"view": "safe"}, {"sql": "SELECT id FROM safe"}):
        assert server.post("/query/preview", json={**what, "as": ["admin"]}).status_code == 200
    wait_until(lambda: len(entries(server, action="query.*")) >= 14)
    yield server
    server.stop()


def test_queries_can_be_left_out(asked):
    every = entries(asked)
    of_queries = [e for e in every if e["action"].startswith("query.")]
    failed = [e for e in of_queries if e["outcome"] != "done"]
    assert len(failed) == 3 and len(of_queries) == 14, of_queries
    assert entries(asked, queries="all") == every
    assert entries(asked, queries="none") == [e for e in every if e not in of_queries]
    assert entries(asked, queries="refused") == [e for e in every if e not in of_queries or e in failed]
    assert entries(asked, queries="none", action="query.*") == []
    assert [e["reason"] for e in entries(asked, queries="none", target="dataset:people")] == ["the only change"]


def test_queries_are_found_by_what_they_read_also_through_views(asked):
    def found(name):
        """What the queries are said to have read, by name of the first."""
        return sorted((e["action"], e["target"], e["outcome"]) for e in entries(asked, reads=name))
    through = [("query.preview", "view:safe", "done")] * 5 + [("query.sql", "view:safe", "done")] * 2
    people = [("query.sql", "dataset:people", "done")] * 2 + [("query.sql", "dataset:people", "sql_error")]
    assert found("people") == sorted(through + people)
    assert found("safe") == sorted(through)
    assert found("towns") == [("query.sql", "dataset:people", "done"), ("query.sql", "dataset:towns", "done")]
    assert found("nothing_here") == [("query.sql", "dataset:nothing_here", "not_found")]
    assert found("copied") == found("peopl") == []


def test_a_preview_says_that_it_has_read_the_base(asked):
    told = entries(asked, action="query.preview")
    assert all(e["details"]["views"] == [{"name": "safe", "version": 1, "base": "people"}] for e in told)
    # Of the view: rows and their numbers. Of the statement: true values, what the other sees, and the numbers.
    assert sorted(list(e["details"]["snapshots"]) for e in told) == [["people"]] * 4 + [["safe"]]
    for e in entries(asked, action="query.sql", target="view:safe"):
        assert list(e["details"]["snapshots"]) == ["safe"]


def test_the_command_leaves_queries_that_went_well_out_unless_it_is_asked_for_them(asked):
    def actions(*words):
        done = command("journal", "--json", *words, server=asked)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return [(e["action"], e["outcome"]) for e in map(json.loads, done.stdout.splitlines())]
    well = ("query.sql", "done")
    assert well not in actions() and ("query.sql", "sql_error") in actions() and ("dataset.create", "done") in actions()
    assert well in actions("--queries", "all") and ("dataset.create", "done") in actions("--queries", "all")
    assert not any(action.startswith("query.") for action, _ in actions("--queries", "none"))
    assert well in actions("--action", "query.*") and well in actions("--reads", "people")
    assert well not in actions("--action", "query.*", "--queries", "refused")


def test_the_command_shows_details_when_it_is_asked_for_them(asked):
    done = command("journal", "--reads", "safe", "--details", server=asked)
    head, _, *lines = done.stdout.splitlines()
    assert head.split()[-1] == "details" and all('"base":"people"' in line for line in lines) and len(lines) == 7
    assert '"base"' not in command("journal", "--reads", "safe", server=asked).stdout


def test_the_command_takes_times_back_from_now(asked):
    assert len(command("journal", "--from", "1h", server=asked).stdout.splitlines()) > 3
    assert len(command("journal", "--to", "1h", server=asked).stdout.splitlines()) == 2
    done = command("journal", "--from", "yesterday", server=asked)
    assert done.returncode == 2 and "--from" in done.stderr and "12h" in done.stderr


def test_the_command_says_that_there_is_more(long):
    done = command("journal", server=long)
    assert len(done.stdout.splitlines()) == 102 and "-n N" in done.stderr
    assert command("journal", "-n", "3", server=long).stderr == ""


def test_a_page_looks_at_so_many_records_and_gives_a_cursor_on(long):
    page = long.get("/journal?action=nothing.like.it").json()
    assert page["entries"] == [] and int(page["next"]) == long.base + 12_000 - 5000
    page = long.get("/journal", params={"subject": "ab" * 16, "cursor": page["next"]}).json()
    assert page["entries"] == [] and page["next"]
    page = long.get("/journal", params={"subject": "ab" * 16, "cursor": page["next"]}).json()
    assert len(page["entries"]) == 1 and page["next"] is None


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_end_within_a_record_as_well(serve, tmp_path, limit):
    first = serve()
    first.stop()
    log = Log(first.data)
    for i in range(4):
        log.add(*(transaction(i * 10 + j, target=f"{i}.{j}") for j in range(5)))
    server = serve(data=first.data)
    found = [e["target"] for e in entries(server, action="test.set", limit=limit)]
    assert found == [f"{i}.{j}" for i in (3, 2, 1, 0) for j in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("name,value", [
    ("actor", ""), ("actor", "x" * 1025), ("action", "Dataset"), ("action", "a b"), ("action", "*.x"), ("target", "\x07"),
    ("outcome", "good"), ("outcome", "ok"), ("from", "yesterday"), ("to", "2026-13-01T00:00:00Z"), ("seq", "0"), ("seq", "x"),
    ("subject", "ab"), ("subject", "zz" * 16), ("queries", ""), ("queries", "false"), ("reads", ""), ("reads", "\x07"), ("limit", "0"), ("cursor", "0"), ("cursor", "x"), ("cursor", "5."), ("cursor", "5.0"), ("cursor", "5.x"),
])
def test_a_bad_filter_is_named(t, name, value):
    answer = t.get("/journal", params={name: value})
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_argument" and name in answer.json()["detail"]


def test_from_after_to_is_refused(t):
    answer = t.get("/journal", params={"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"})
    assert answer.status_code == 400 and "from" in answer.json()["detail"]


def test_the_journal_is_a_table(long):
    assert long.sql("SELECT action, outcome, count(*) AS n FROM system.journal WHERE node = 'test' GROUP BY ALL ORDER BY ALL") == [
        {"action": "zoo.open", "outcome": "done", "n": 10}, {"action": "zoo.open", "outcome": "not_found", "n": 2},
        {"action": "zoology.note", "outcome": "done", "n": 10899}, {"action": "zoology.note", "outcome": "not_found", "n": 1089}]
    assert long.value("SELECT count(*) FROM system.journal WHERE actor IN ('actor1', 'actor2') AND outcome = 'not_found'") == sum(
        n % 11 == 0 and n % 7 in (1, 2) for n in range(12_000))
    assert long.value(f"SELECT count(*) FROM system.journal WHERE seq > {long.base + 10} AND seq <= {long.base + 15}") == 5
    assert long.sql("SELECT details, len(id) AS n FROM system.journal WHERE details LIKE '%subjects%'") == [
        {"details": json.dumps({"subjects": ["ab" * 16], "rows": 1}, separators=(",", ":")), "n": 26}]
    columns = long.query("SELECT * FROM system.journal LIMIT 1").json()["columns"]
    assert [c["name"] for c in columns] == ["seq", "time", "node", "id", "actor", "action", "target", "reason", "outcome", "details"]


def test_quotes_and_backslashes_come_through_the_table(t):
    reason = "it's \"so\" \\ and ''so'' \\u0041 é"
    t.ingest("quoted", "a\n1\n", reason=reason)
    assert t.value("SELECT reason FROM system.journal WHERE target = 'dataset:quoted'") == reason


# Refused attempts

def test_what_was_refused_is_told_with_its_code(t):
    t.ingest("fixed", "a\n1\n")
    attempts = [
        (lambda: t.delete(DATASETS + "missing?reason=gone"), "dataset.drop", "dataset:missing", "not_found", "gone"),
        (lambda: t.post(DATASETS + "fixed/rename", json={"to": "main"}), "dataset.rename", "dataset:fixed", "invalid_argument", ""),
        (lambda: t.upload("fixed", "a\n2\n"), "dataset.create", "dataset:fixed", "already_exists", ""),
        (lambda: t.upload("fixed", "b,c\nx,y\n", mode="append", reason="more"), "dataset.append", "dataset:fixed", "schema_mismatch", "more"),
        (lambda: t.post("/ingest/delta", json={"dataset": "missing", "mode": "delete", "key": "a", "rows": [{"a": 1}], "reason": "d"}),
         "dataset.delete", "dataset:missing", "not_found", "d"),
        (lambda: t.post(DATASETS + "fixed/columns", json={"changes": [{"op": "drop", "name": "ghost"}], "reason": "c"}),
         "dataset.columns", "dataset:fixed", None, "c"),
        (lambda: t.query("UPDATE fixed SET a = 'x' || a", reason="u"), "sql.update", "dataset:fixed", None, "u"),
        (lambda: t.query("DELETE FROM missing"), "sql.delete", "dataset:missing", "not_found", ""),
        (lambda: t.query("MERGE INTO fixed"), "sql.write", "server", "statement_refused", ""),
        (lambda: t.post("/query/compact", json={"dataset": "missing"}), "dataset.compact", "dataset:missing", "not_found", ""),
        (lambda: t.post("/query/compact", json={"dataset": "missing"}, headers={"Prefer": "respond-async"}),
         "dataset.compact", "dataset:missing", "not_found", ""),
        (lambda: t.post(DATASETS + "fixed/rollback?reason=back", json={"version": 99}), "dataset.rollback", "dataset:fixed", "not_found", "back"),
        (lambda: t.post("/auth/tokens", json={"principal": "x", "roles": ["king"]}), "token.create", "token:?", "invalid_argument", ""),
        (lambda: t.delete("/auth/tokens/x"), "token.revoke", "token:?", "not_found", ""),
        (lambda: t.post("/auth/tokens", data="{", headers={"Content-Type": "application/json"}), "token.create", "token:?", "invalid_argument", ""),
    ]
    before = newest(t, outcome="done")["seq"]
    for attempt, action, target, code, reason in attempts:
        known = {e["id"] for e in entries(t, outcome="refused", limit=1000)}
        answer = attempt()
        assert answer.status_code >= 400 or answer.status_code == 202, answer.text
        [e] = wait_until(lambda: [e for e in entries(t, outcome="refused", limit=1000) if e["id"] not in known])
        assert (e["actor"], e["action"], e["reason"], e["changes"]) == ("admin", action, reason, []), e
        assert ("query_id" in e["details"]) if action.startswith("sql.") else (e["details"] is None), e
        assert target is None or e["target"] == target, e
        assert e["outcome"] == (code or answer.json()["code"]), e
    assert newest(t, outcome="done")["seq"] == before


def reads_that_fail(t):
    """What the journal tells of some."""
    known = {e["id"] for e in entries(t, outcome="refused", limit=1000)}
    assert t.query("SELECT nonsense FROM").status_code == 422
    assert t.query("SELECT * FROM not_there").status_code == 404
    assert t.get(DATASETS + "not_there").status_code == 404
    assert t.post("/query/sql", data="{", headers={"Content-Type": "application/json"}).status_code == 400
    t.delete(DATASETS + "the_last_one")
    wait_until(lambda: [e for e in entries(t, outcome="refused", limit=1000) if e["target"] == "dataset:the_last_one" and e["id"] not in known])
    t.stop()
    again = Server(t.data)
    try:
        return sorted((e["action"], e["target"]) for e in entries(again, outcome="refused", limit=1000) if e["id"] not in known)
    finally:
        again.stop()


def test_reads_that_fail_are_told_if_they_are_queries(serve):
    assert reads_that_fail(serve()) == [("dataset.drop", "dataset:the_last_one"), ("query.sql", "dataset:not_there"), ("query.sql", "server")]


def test_without_the_audit_reads_that_fail_are_not_told(serve):
    assert reads_that_fail(serve("--audit-queries", "none")) == [("dataset.drop", "dataset:the_last_one")]


def test_names_that_could_be_anything_are_not_told(t):
    secret = t.token
    for name in (secret, "Max Mustermann, Berlin", "x" * 129):
        t.delete(DATASETS + requests_quote(name))
        t.delete("/auth/tokens/" + requests_quote(name))
    t.delete(DATASETS + "a_plain_name")
    wait_until(lambda: newest(t, outcome="refused")["target"] == "dataset:a_plain_name")
    targets = {e["target"] for e in entries(t, outcome="refused", limit=1000)}
    assert "dataset:?" in targets and "token:?" in targets
    assert not [x for x in targets if "Mustermann" in x or "tarn_" in x or "xxx" in x]


def requests_quote(text):
    return "".join(f"%{b:02X}" for b in text.encode())


def with_reader_of(server):
    server.ingest("seen", "a\n1\n")
    server.ingest("hidden", "a\n1\n")
    server.reader = bearer(server.let_in("reader", {"dataset:seen": ["read_raw"]}))
    return server


@pytest.fixture
def with_reader(serve):
    """A server with a token that may read a dataset, and with another dataset that is hidden from it."""
    return with_reader_of(serve())


def token(middle):
    import zlib
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    body = "tarn_" + middle
    crc, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        crc, digit = divmod(crc, 62)
        check = digits[digit] + check
    return f"{body}_{check}"


def test_what_may_not_be_seen_or_done_is_told_of_its_principal(with_reader):
    s = with_reader
    assert s.delete(DATASETS + "seen", headers=s.reader).status_code == 403
    assert s.get("/metrics", headers=s.reader).status_code == 403
    found = refused(s, 2, actor="reader")
    assert {(e["action"], e["target"], e["outcome"]) for e in found} == {
        ("dataset.drop", "dataset:seen", "permission_denied"), ("read", "route:metrics", "permission_denied")}


def test_looking_for_what_is_hidden_is_told_as_looking_for_what_is_not_there(with_reader):
    s = with_reader
    for name in ("hidden", "absent"):
        assert s.get(DATASETS + name, headers=s.reader).status_code == 404
        assert s.query(f"SELECT * FROM __raw__{name}", headers=s.reader).status_code == 404
        assert s.post("/query/compact", json={"dataset": name}, headers=s.reader).status_code == 404
    assert s.get(DATASETS + "absent").status_code == 404  # by who may see all: nothing is kept from them
    found = refused(s, 6, actor="reader")
    assert sorted((e["action"], e["target"], e["outcome"]) for e in found) == sorted(
        (action, f"dataset:{raw}{name}", "not_found") for name in ("hidden", "absent")
        for action, raw in (("read", ""), ("query.sql", "__raw__"), ("dataset.compact", "")))
    assert entries(s, outcome="refused", actor="admin") == []


def test_without_the_audit_a_query_for_what_is_hidden_is_told_as_a_read(serve):
    s = with_reader_of(serve("--audit-queries", "none"))
    assert s.query("SELECT * FROM hidden", headers=s.reader).status_code == 404
    [e] = refused(s, 1, actor="reader")
    assert (e["action"], e["target"], e["outcome"], e["details"]) == ("read", "dataset:hidden", "not_found", None)


def test_a_flood_of_refusals_is_noted_so_often_and_then_counted(with_reader):
    s = with_reader
    for i in range(150):
        assert s.delete(f"{DATASETS}missing{i}").status_code == 404
    assert s.delete(DATASETS + "seen", headers=s.reader).status_code == 403  # has its own measure
    refused(s, 60, actor="admin")
    refused(s, 1, actor="reader")
    dropped = s.metric("refusals_dropped")
    s.stop()
    again = Server(s.data)
    try:
        notes = entries(again, outcome="refused", actor="admin", limit=1000)
        assert [e["action"] for e in notes] == ["refusals"] + ["dataset.drop"] * 60
        assert notes[0]["details"] == {"count": 90} and notes[0]["outcome"] == "limit_exceeded" and dropped == 0
    finally:
        again.stop()


def test_failed_authentications_are_one_record_and_a_count(tarn):
    for header in [None, "Bearer nonsense", f"Bearer {token('A' * 43)}", "Basic YTpi"] * 10:
        assert tarn.get("/catalog/datasets", headers={"Authorization": header}).status_code == 401
    [e] = wait_until(lambda: entries(tarn, outcome="unauthenticated"))
    assert (e["actor"], e["action"], e["target"], e["reason"]) == ("", "auth", "server", "") and e["details"]["count"] == 1
    assert len(e["details"]["source"]) == 16 and "127.0.0.1" not in json.dumps(e)
    tarn.stop()
    again = Server(tarn.data)
    try:
        assert [x["details"]["count"] for x in entries(again, outcome="unauthenticated")] == [39, 1]
        assert len({x["details"]["source"] for x in entries(again, outcome="unauthenticated")}) == 1
    finally:
        again.stop()


def test_a_refusal_just_before_the_stop_is_in_the_journal(serve):
    server = serve()
    server.delete(DATASETS + "late")
    server.stop()
    again = serve(data=server.data)
    assert entries(again, outcome="refused")[0]["target"] == "dataset:late"


# What the log never holds

def test_no_value_of_a_row_stands_in_the_log(serve):
    canaries = [f"CANARY{n:02d}x" for n in range(24)]
    numbers = [987650000 + n for n in range(10)]
    server = serve("--catalog-checkpoint-every", 5)
    c = iter(canaries)
    server.ingest("people", f"id,name\n{numbers[0]},{next(c)}\n{numbers[1]},{next(c)}\n")
    server.upload("people", f"id,name\n{numbers[2]},{next(c)}\n", mode="append")
    server.upload("people", f"id,name\n{next(c)},{next(c)}\n", mode="append")  # another type: refused
    server.post("/ingest/delta", json={"dataset": "people", "mode": "upsert", "key": "id", "rows": [{"id": numbers[3], "name": next(c)}]},
                headers={"Idempotency-Key": next(c)})
    server.post("/ingest/delta", json={"dataset": "people", "mode": "delete", "key": "id", "rows": [{"id": numbers[0]}]})
    server.post("/ingest/delta", json={"dataset": "people", "mode": "delete", "key": "id", "rows": [{"id": next(c)}]})
    server.sql(f"INSERT INTO people VALUES ({numbers[4]}, '{next(c)}')")
    server.sql(f"UPDATE people SET name = '{next(c)}' WHERE id = {numbers[1]}")
    server.query(f"UPDATE people SET id = '{next(c)}'")  # refused
    server.query(f"INSERT INTO people VALUES ('{next(c)}')")  # refused
    server.query(f"DELETE FROM people WHERE nothing = '{next(c)}'")  # refused
    server.query(f"INSERT INTO people SELECT {next(c)}")  # refused
    server.sql(f"DELETE FROM people WHERE name = '{next(c)}' OR id = {numbers[2]}")
    server.sql(f"CREATE TABLE copy AS SELECT *, '{next(c)}' AS more FROM people WHERE id <> {numbers[5]}")
    server.query(f"SELECT * FROM people WHERE name = '{next(c)}'")
    server.upload("bad", f"id,name\n1,2\n{next(c)}\n3,4,5\n", on_error="reject")
    server.delete(f"/auth/tokens/{next(c)}!")
    server.delete(f"{DATASETS}{next(c)}%20Smith")
    server.post("/query/compact", json={"dataset": "people"})
    server.post(DATASETS + "people/expire", json={"max_age_ms": 0, "keep_min": 1})
    server.sql(f"INSERT INTO people VALUES ({numbers[7]}, '{canaries[0]}')")
    for values in ([numbers[7], numbers[8]], [next(c)]):
        server.post(DATASETS + "people/tombstone", json={"row_key_column": "id", "row_key_values": values, "reason": "asked"})
    server.post(DATASETS + "people/tombstone/undo", json={"row_key_values": [numbers[7], numbers[9]]})
    server.delete(DATASETS + "copy")
    assert {"dataset.tombstone", "dataset.tombstone_undo"} <= {e["action"] for e in entries(server, outcome="done", limit=1000)}
    assert len(entries(server, outcome="done", limit=1000)) > 10
    server.stop()
    looked_at = 0
    catalog = f"{server.data}/primary/_catalog"
    for folder, _, names in os.walk(catalog):
        for name in names if "/content" not in folder else ():  # that is where they stand, until they are erased
            with open(f"{folder}/{name}", "rb") as f:
                data = f.read()
            looked_at += 1
            for canary in canaries + [str(n) for n in numbers]:
                assert canary.encode() not in data, (name, canary)
    assert looked_at > 15 and os.listdir(catalog + "/checkpoint") and os.path.exists(catalog + "/head.json")


# Verification

def verdict(server, **params):
    answer = server.get("/journal/verify", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_sound_log_is_good_for_server_and_folder(t):
    v = verdict(t)
    assert v["good"] and v["damage"] is None and v["records"] == v["last_seq"] >= 1 and v["first_seq"] == 1
    online = command("journal", "verify", server=t)
    assert online.returncode == 0 and facts(online)["verdict"] == "good", online.stdout + online.stderr
    offline = command("journal", "verify", "--data", t.data)
    assert offline.returncode == 0 and facts(offline)["verdict"] == "good", offline.stdout + offline.stderr
    head = facts(offline)["head"]
    assert int(head.split(":")[0]) >= v["last_seq"]
    for where in ({"server": t}, {}):
        words = ["journal", "verify", "--head", head] + ([] if where else ["--data", t.data])
        assert command(*words, **where).returncode == 0
        other = head[:-1] + ("0" if head[-1] != "0" else "1")
        done = command(*words[:3], other, *words[4:], **where)
        assert done.returncode == 1 and "not the one that was given" in done.stderr, done.stderr
        done = command(*words[:3], "1000000:" + "0" * 64, *words[4:], **where)
        assert done.returncode == 1 and "newest records are missing" in done.stderr, done.stderr


@pytest.mark.parametrize("head", ["x", "1", "1:xyz", "0:" + "0" * 64, "1:" + "g" * 64, ":" + "0" * 64])
def test_a_head_that_is_none_is_refused(t, head):
    answer = t.get("/journal/verify", params={"head": head})
    assert answer.status_code == 400 and "head" in answer.json()["detail"]
    assert command("journal", "verify", "--data", t.data, "--head", head).returncode == 2


def test_a_running_server_sees_that_its_log_was_changed(serve):
    server = serve()
    for i in range(5):
        server.ingest(f"d{i}", "a\n1\n")
    path = f"{server.data}/primary/_catalog/log/{3:020d}.json"
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(data.replace(b'"admin"', b'"nimda"', 1))
    v = verdict(server)
    assert not v["good"] and "00000000000000000003.json" in v["damage"] and v["records"] == 2
    done = command("journal", "verify", server=server)
    assert done.returncode == 1 and "00000000000000000003.json" in done.stderr and facts(done)["verdict"] == "DAMAGED"
    with open(path, "wb") as f:
        f.write(data)
    assert verdict(server)["good"]


def test_records_that_were_cut_off_with_their_checkpoints_are_missed(serve, tmp_path):
    server = serve()
    for i in range(5):
        server.ingest(f"d{i}", "a\n1\n")
    server.stop()
    head = facts(command("journal", "verify", "--data", server.data))["head"]
    log = Log(server.data)
    catalog = f"{server.data}/primary/_catalog"
    os.remove(log.path(log.seq))
    os.remove(log.path(log.seq - 1))
    shutil.rmtree(catalog + "/checkpoint")
    done = command("journal", "verify", "--data", server.data)
    assert done.returncode == 1 and "newest records are missing" in done.stderr and facts(done)["records"] == str(log.seq - 2)
    refusing = subprocess.run([TARN, "serve", "--data", server.data, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert refusing.returncode != 0 and "head.json" in refusing.stderr
    os.remove(catalog + "/head.json")
    done = command("journal", "verify", "--data", server.data)
    assert done.returncode == 0 and "cannot be told" in facts(done)["note"]
    done = command("journal", "verify", "--data", server.data, "--head", head)
    assert done.returncode == 1 and "newest records are missing" in done.stderr
    again = serve(data=server.data)  # who has taken that into account goes on
    assert again.sql("SELECT 1 AS a") == [{"a": 1}]


def test_a_torn_head_is_found_and_mended_by_the_next_start(serve):
    server = serve()
    server.ingest("d", "a\n1\n")
    server.stop()
    path = f"{server.data}/primary/_catalog/head.json"
    with open(path, "rb+") as f:
        f.truncate(40)
    done = command("journal", "verify", "--data", server.data)
    assert done.returncode == 1 and "_catalog/head.json" in done.stderr
    again = serve(data=server.data)
    again.stop()
    assert command("journal", "verify", "--data", server.data).returncode == 0


def test_a_head_follows_a_running_server(serve):
    server = serve()
    server.ingest("d", "a\n1\n")
    last = newest(server)["seq"]
    wait_until(lambda: verdict(server)["seen_seq"] >= last)
    server.kill()
    v = facts(command("journal", "verify", "--data", server.data))
    assert v["verdict"] == "good" and int(v["seen"]) >= last
    server.code = 0


def test_random_edits_of_a_real_log_are_found(serve, tmp_path):
    server = serve("--catalog-checkpoint-every", 4)
    for i in range(10):
        server.ingest("d", f"a\n{i}\n", mode="replace" if i else "create")
    server.stop()
    rng = random.Random(5)
    catalog = f"{server.data}/primary/_catalog"
    names = [f"{folder}/{name}" for folder, _, files in os.walk(catalog) for name in files if "/content" not in folder and "/secret" not in folder]
    for _ in range(40):
        path = rng.choice(names)
        with open(path, "rb") as f:
            data = f.read()
        at = rng.randrange(len(data))
        with open(path, "wb") as f:
            f.write(data[:at] + rng.choice([b"", bytes([data[at] ^ 1]) + data[at + 1:], b"x" + data[at:], data[at + 1:]]))
        done = command("journal", "verify", "--data", server.data)
        assert done.returncode == 1 and os.path.basename(path) in done.stderr, (path, done.stdout, done.stderr)
        with open(path, "wb") as f:
            f.write(data)
    assert command("journal", "verify", "--data", server.data).returncode == 0


# The command line

def test_the_command_lists_what_the_filters_leave(t):
    t.ingest("listed", "a\n1\n", reason="for the list")
    t.delete(DATASETS + "unlisted?reason=none")
    refused(t, 1, target="dataset:unlisted")
    for words in (["journal"], ["journal", "show"]):
        done = command(*words, "--target", "dataset:listed", server=t)
        assert done.returncode == 0, done.stderr
        head, _, line = done.stdout.splitlines()
        assert head.split() == ["seq", "time", "actor", "action", "target", "outcome", "reason"]
        assert "dataset.create" in line and "done" in line and "for the list" in line
    done = command("journal", "--outcome", "refused", "--actor", "admin", "--action", "dataset.*", "-n", "1", "--json", server=t)
    [line] = done.stdout.splitlines()
    assert json.loads(line)["outcome"] == "not_found"
    done = command("journal", "--outcome", "perfect", server=t)
    assert done.returncode == 2 and "outcome" in done.stderr
