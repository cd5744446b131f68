"""The audit: every query in the journal, with who asked and what it read, and its text as it was configured."""

import contextlib
import os
import subprocess

import pytest
from conftest import TARN, Server, bearer, wait_until


def audits(server, count=1, **filters):
    """The audit's entries that fit, oldest first, once there are so many: they are written a moment after the answer."""
    def look():
        found = server.get("/journal", params={"limit": 1000, **filters}).json()["entries"]
        found = [e for e in found if "query_id" in (e["details"] or {})]
        return list(reversed(found)) if len(found) >= count else None
    return wait_until(look)


def audit_of(server, query_id):
    return wait_until(lambda: [e for e in audits(server, 0, action="query.sql") if e["details"]["query_id"] == query_id])[0]


@pytest.fixture(scope="module")
def t(tarn_module):
    tarn_module.ingest("seen", "id,name\n1,ann\n2,bob\n")
    tarn_module.ingest("hidden", "id\n1\n")
    tarn_module.reader = bearer(tarn_module.let_in("reader", {"dataset:seen": ["read_raw"]}, principal="ada"))
    return tarn_module


def test_a_query_is_told_with_who_asked_and_what_it_read(t):
    answer = t.query("SELECT * FROM seen", headers=t.reader, reason="monthly look")
    assert answer.status_code == 200
    e = audit_of(t, answer.json()["query_id"])
    assert e["actor"] == "ada"
    assert (e["action"], e["target"], e["outcome"], e["reason"], e["changes"]) == ("query.sql", "dataset:seen", "done", "monthly look", [])
    d = e["details"]
    assert d["roles"] == ["reader"] and d["snapshots"] == answer.json()["snapshots"] and d["rows"] == 2 and d["views"] == []
    assert 0 < d["bytes"] < len(answer.content) and d["ms"] > 0


@pytest.mark.parametrize("sql, action, target, outcome", [
    ("SELECT * FROM hidden", "query.sql", "dataset:hidden", "not_found"),
    ("SELECT * FROM absent", "query.sql", "dataset:absent", "not_found"),
    ("SELECT * FROM read_csv('/etc/passwd')", "query.sql", "server", "statement_refused"),
    ("SELECT nonsense FROM", "query.sql", "server", "sql_error"),
    ("SELECT name::INT FROM seen", "query.sql", "dataset:seen", "sql_error"),
    ("SELECT * FROM \"tarn_secret\"", "query.sql", "dataset:?", "not_found"),
    ("SELECT * FROM \"Max Mustermann, Berlin\"", "query.sql", "dataset:?", "not_found"),
    ("DELETE FROM seen", "sql.delete", "dataset:seen", "permission_denied"),
    ("MERGE INTO seen", "sql.write", "server", "statement_refused"),
])
def test_what_fails_is_told_once_and_with_its_code(t, sql, action, target, outcome):
    known = {e["id"] for e in t.get("/journal?outcome=refused&limit=1000").json()["entries"]}
    answer = t.query(sql, headers=t.reader)
    assert answer.json()["code"] == outcome
    t.query("SELECT 1", headers=t.reader)  # comes after it
    [e] = wait_until(lambda: [e for e in t.get("/journal?outcome=refused&limit=1000").json()["entries"] if e["id"] not in known])
    assert (e["actor"], e["action"], e["target"], e["outcome"]) == ("ada", action, target, outcome)
    assert e["details"]["roles"] == ["reader"] and e["details"]["rows"] == 0


def test_a_write_is_told_as_a_query_and_as_what_it_did(t):
    answer = t.query("UPDATE seen SET name = 'x' WHERE id = 2", reason="a correction")
    assert answer.status_code == 200, answer.text
    e = audit_of(t, answer.json()["query_id"])
    assert (e["action"], e["outcome"], e["reason"], e["changes"]) == ("query.sql", "done", "a correction", [])
    [change] = [e for e in t.told(action="sql.update") if e["reason"] == "a correction"]
    assert change["changes"] and "query_id" not in change["details"]


def test_a_streamed_answer_is_told_with_all_of_its_rows(t):
    answer = t.query("SELECT range AS i FROM range(100000)", accept="text/csv")
    assert answer.status_code == 200
    e = audit_of(t, answer.headers["X-Tarn-Query"])
    assert e["details"]["rows"] == 100000 and e["details"]["bytes"] > 500000 and e["target"] == "server"


def test_equal_texts_have_equal_hashes_and_the_text_stands_nowhere(t):
    ids = [t.query(sql).json()["query_id"] for sql in ("SELECT 'canary71'", "SELECT 'canary71'", "SELECT 'canary72'")]
    one, two, other = (audit_of(t, i)["details"]["sql_hash"] for i in ids)
    assert one == two != other and len(one) == 32
    assert holders(t, "canary7") == []


def test_what_was_asked_just_before_the_stop_is_told(serve):
    server = serve()
    ids = [server.query(f"SELECT {i}").json()["query_id"] for i in range(300)]
    server.stop()
    again = serve(data=server.data)
    assert [e["details"]["query_id"] for e in audits(again, 300, action="query.sql")] == ids


def test_queries_of_a_second_share_a_record(serve):
    server = serve()
    for i in range(50):
        server.sql(f"SELECT {i}")
    found = audits(server, 50, action="query.*")
    assert len({e["seq"] for e in found}) < 40


def test_none_are_told_if_none_are_wanted(serve):
    server = serve("--audit-queries", "none")
    server.sql("SELECT 1")
    server.query("SELECT * FROM absent")
    server.stop()
    again = serve(data=server.data)
    assert {e["action"] for e in again.get("/journal").json()["entries"]} <= {"token.create", "token.used"}


def test_without_texts_there_are_no_hashes(serve):
    server = serve("--audit-sql", "drop")
    server.sql("SELECT 1")
    [e] = audits(server)
    assert "sql_hash" not in e["details"] and "sql_ref" not in e["details"] and server.told(target="secret:audit-sql") == []


def test_strict_has_the_query_in_the_journal_before_its_answer(serve):
    server = serve("--audit-strict")
    answer = server.query("SELECT range AS i FROM range(10)")
    server.kill()
    server.code = 0
    again = Server(server.data)
    try:
        found = audits(again)
        assert found[0]["action"] == "query.begin" and found[0]["details"]["query_id"] == answer.json()["query_id"]
        failed = again.query("SELECT * FROM absent")
        assert failed.status_code == 404
    finally:
        again.stop()


def test_strict_has_a_refusal_in_the_journal_before_its_answer(serve):
    server = serve("--audit-strict")
    assert server.query("SELECT * FROM absent").status_code == 404
    [e] = [e for e in server.get("/journal?outcome=not_found").json()["entries"] if e["action"] == "query.sql"]
    assert e["target"] == "dataset:absent"


@pytest.mark.parametrize("flag, value, says", [
    ("--audit-queries", "some", "all, restricted or none"), ("--audit-sql", "plain", "hash, keep or drop"),
    ("--audit-sql-days", "0", "out of range"), ("--audit-strict", "--audit-sql=x", "hash, keep or drop")])
def test_a_setting_that_is_none_is_refused(tmp_path, flag, value, says):
    server = Server(tmp_path / "data", flag, value, wait=False)
    assert server.wait() == 2 and says in server.log and flag.replace("--audit-strict", "--audit-sql") in server.log


# Kept texts

def kept_objects(server):
    folder = server.data + "/primary/_catalog/content"
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def holders(server, text):
    """Files of the data folder that hold the text."""
    found = []
    for folder, _, names in os.walk(server.data):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the log has just been written
                with open(f"{folder}/{name}", "rb") as f:
                    if text.encode() in f.read():
                        found.append(f"{folder}/{name}")
    return found


def test_kept_texts_are_shown_to_admins_and_stand_beside_the_log(serve):
    server = serve("--audit-sql", "keep")
    sqls = ["SELECT 'canary71' AS a", "SELECT * FROM absent WHERE b = 'canary72'", "SELECT 'a\nb' AS c"]
    for sql in sqls:
        server.query(sql)
    found = audits(server, 3)
    assert [e["sql"] for e in found] == sqls and all("sql_hash" not in e["details"] for e in found)
    assert holders(server, "canary7") and all("/_catalog/content/" in name for name in holders(server, "canary7"))
    [keep] = [e for e in server.told(action="audit.keep") if e["target"] == found[0]["details"]["sql_ref"]]
    assert keep["changes"] == [{"entity": keep["target"], "change": "created"}]
    shown = subprocess.run([TARN, "journal", "--action", "query.*"], capture_output=True, text=True, timeout=60,
                           env={"TARN_URL": server.url, "TARN_TOKEN": server.token})
    head, _, *lines = shown.stdout.splitlines()
    assert head.split()[-1] == "sql" and len(lines) == 3 and "SELECT 'canary71' AS a" in lines[-1], shown.stdout + shown.stderr
    server.stop()
    again = serve("--audit-sql", "drop", data=server.data)
    assert [e["sql"] for e in audits(again, 3)] == sqls


@pytest.mark.parametrize("sql", ["keep", "hash"])
def test_an_erasure_takes_the_texts_that_quote_its_subject(serve, sql):
    server = serve("--audit-sql", sql)
    mail = "ada.lovelace@example.org"
    server.ingest("people", f"id,email\n1,{mail}\n2,bob@example.org\n")
    quoting = [f"SELECT * FROM people WHERE email = '{mail}'", f"SELECT '{mail}' AS a, '{mail}' AS b", f"SELECT nonsense FROM '{mail}'"]
    others = ["SELECT count(*) AS n FROM people", "SELECT * FROM people WHERE email = 'bob@example.org'"]
    for text in [quoting[0], others[0], *quoting[1:]]:
        server.query(text)
    audits(server, 4)
    server.query(others[1])
    audits(server, 5)
    server.query(quoting[0])  # waits in memory when the erasure comes
    answer = server.post("/catalog/datasets/by-name/people/erase",
                         json={"row_key_column": "email", "row_key_values": [mail], "reason": "asked"})
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert receipt["scan"]["clean"] and receipt["scan"]["found"] == 0, receipt["scan"]
    assert receipt["query_texts_removed"] == (4 if sql == "keep" else 0)
    assert holders(server, mail) == []
    found = audits(server, 6)
    if sql == "keep":
        assert [e.get("sql") for e in found] == [None, others[0], None, None, others[1], None]
        gone = {os.path.basename(o["object"]) for o in receipt["removed"] if "_catalog/content/" in o["object"]}
        assert len(gone) >= 2 and not gone & set(kept_objects(server))
        assert {e["action"] for e in server.told()} >= {"audit.keep", "audit.forget"}
    else:
        server.query(quoting[0])
        hashes = [e["details"]["sql_hash"] for e in audits(server, 7)]
        assert hashes[0] == hashes[5] != hashes[6]  # under another secret
    text = server.get(f"/erasures/{receipt['id']}/receipt").text
    assert server.post("/erasures/verify", data=text, headers={"Content-Type": "application/json"}).json()["ok"]


def test_a_data_folder_with_kept_texts_is_sound(serve):
    server = serve("--audit-sql", "keep")
    server.ingest("d", "a\n1\n")
    server.sql("SELECT * FROM d")
    server.stop()
    for words in (["fsck", "--data", server.data], ["journal", "verify", "--data", server.data]):
        done = subprocess.run([TARN, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


# What is asked of the journal

def test_the_audit_is_in_the_table_as_well(t):
    answer = t.query("SELECT id FROM seen", headers=t.reader)
    audit_of(t, answer.json()["query_id"])
    found = t.sql("SELECT actor, target, outcome, json_extract(details, '$.rows') AS n FROM system.journal "
                  f"WHERE action = 'query.sql' AND details LIKE '%{answer.json()['query_id']}%'")
    assert found == [{"actor": "ada", "target": "dataset:seen", "outcome": "done", "n": 2}]


def test_a_query_whose_client_has_left_is_told_as_cancelled(t):
    answer = t.post("/query/sql", headers={"Content-Type": "text/plain", "Accept": "text/csv"}, stream=True,
                    data="SELECT range AS i, repeat('x', 1000) AS x FROM range(10000000)")
    query_id = answer.headers["X-Tarn-Query"]
    next(answer.iter_content(1000))
    answer.close()
    e = audit_of(t, query_id)
    assert e["outcome"] == "cancelled" and 0 < e["details"]["rows"] < 10_000_000


def test_an_erasure_takes_the_texts_that_another_server_has_written(serve):
    one = serve("--audit-sql", "keep")
    two = serve("--audit-sql", "keep", data=one.data)
    mail = "ada.lovelace@example.org"
    one.ingest("people", f"id,email\n1,{mail}\n2,bob@example.org\n")
    answer = two.query(f"SELECT '{mail}' AS a")
    audit_of(two, answer.json()["query_id"])
    erased = one.post("/catalog/datasets/by-name/people/erase",
                      json={"row_key_column": "email", "row_key_values": [mail], "reason": "asked"})
    assert erased.status_code == 200 and erased.json()["scan"]["clean"] and erased.json()["query_texts_removed"] == 1, erased.text
    assert holders(one, mail) == []
    wait_until(lambda: "sql" not in audit_of(two, answer.json()["query_id"]))
