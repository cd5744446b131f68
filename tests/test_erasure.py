"""Erasure from outside: what goes, what stays, what the receipt says, and that a kill changes none of it.

What remains is searched here too, by other means than the server's: icebird reads the Parquet files, and a
decoder of our own the Avro ones.
"""

import json
import os
import random
import re
import threading
import time

import requests

from conftest import Server, command, wait_until
from iceberg import avro_file

SEED = int(os.environ.get("TARN_SEED") or time.time_ns() % 1_000_000)
DATASET = "/catalog/datasets/by-name/"
WHO, MAIL, NAME = "CAND-000077", "ada.lovelace@example.org", "Ada Augusta Lovelace"


def ok(answer, status=200):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    return answer.json()


def written_long_ago(path):
    time.sleep(0.5)
    return os.path.exists(path)


def files_of(data):
    """All of them, but for what is just being written: the log is, a moment after a query."""
    return sorted(path for f, _, names in os.walk(data) for n in names
                  if "/.tmp/" not in (path := os.path.join(f, n)) or written_long_ago(path))


def decoded(path, reader):
    """The file's bytes, and what they say."""
    try:
        with open(path, "rb") as f:
            raw = f.read()
    except FileNotFoundError:  # of the log, a checkpoint or the head: another one has taken its place
        return b""
    if path.endswith(".parquet"):
        return raw + json.dumps(reader.parquet("file://" + path)["rows"], default=str, ensure_ascii=False).encode()
    if path.endswith(".avro"):
        return raw + repr(avro_file(path)).encode()
    if path.endswith(".json"):
        return raw + json.dumps(json.loads(raw), ensure_ascii=False).encode()
    return raw


def found(data, values, reader):
    """Where any of the values still stands: file and value."""
    return [(os.path.relpath(path, data), value) for path in files_of(data) for value in values
            if re.search(rb"(?<![0-9A-Za-z])" + re.escape(value.encode()) + rb"(?![0-9A-Za-z])", decoded(path, reader))]


def candidate(i):
    return WHO.replace("77", f"{i:02}") if i < 100 else f"CAND-{i:06}"


def people(first, last):
    lines = ["candidate_id,name,email,city"]
    for i in range(first, last):
        mine = i == 77
        lines.append(f"{candidate(i)},{NAME if mine else f'Person {i}'},{MAIL if mine else f'p{i}@example.com'},Oslo")
    return "\n".join(lines) + "\n"


def lake(server):
    """Candidates with a history, placements that share their key, and a dataset that has nothing to do with them."""
    server.ingest("candidates", people(0, 300))
    server.ingest("candidates", people(300, 500), mode="append")
    ok(server.post("/ingest/delta", json={"dataset": "candidates", "mode": "upsert", "key": "candidate_id", "rows": [
        {"candidate_id": WHO, "name": NAME, "email": MAIL, "city": "London"},
        {"candidate_id": candidate(5), "name": "Person 5", "email": "five@example.com", "city": "Bergen"}]}))
    ok(server.post("/query/compact", json={"dataset": "candidates"}))
    server.sql(f"DELETE FROM candidates WHERE candidate_id IN ('{candidate(9)}', '{candidate(200)}')")
    server.sql(f"INSERT INTO candidates VALUES ('{WHO}', '{NAME}', '{MAIL}', 'Paris'), ('{candidate(900)}', 'x', 'x', 'x')")
    server.ingest("placements", "placement,candidate_id,role\n" +
                  "".join(f"{i},{candidate(i % 100)},role {i}\n" for i in range(1000)))
    server.ingest("cities", "city,country\nOslo,Norway\nLondon,England\n")


def versions(server, name):
    shown = ok(server.get(DATASET + name + "/snapshots"))["snapshots"]
    return [s["id"] for s in shown]


def history(server, name, key="candidate_id", but=()):
    """The rows of every snapshot, without some keys."""
    skip = ", ".join(f"'{k}'" for k in but) or "''"
    return {v: server.sql(f"SELECT * FROM {name} AT (VERSION => {v}) WHERE {key} NOT IN ({skip}) ORDER BY ALL",
                          format="arrays") for v in versions(server, name)}


def erase(server, name="candidates", values=(WHO,), column="candidate_id", status=200, **more):
    return ok(server.post(DATASET + name + "/erase",
                          json={"row_key_column": column, "row_key_values": list(values), **more}), status)


def receipt_of(server, number):
    return server.get(f"/erasures/{number}/receipt").text


def verified(server, text):
    return ok(server.post("/erasures/verify", data=text, headers={"Content-Type": "application/json"}))


def all_done(server, seconds=120):
    return wait_until(lambda: (e := ok(server.get("/erasures"))["erasures"]) and
                      all(x["state"] == "done" for x in e) and e, seconds)


# The whole of it

def test_the_person_is_gone_everywhere_and_all_else_stays(tarn, reader):
    lake(tarn)
    kept = {n: history(tarn, n, but=[WHO]) for n in ("candidates", "placements")}
    cities = history(tarn, "cities", "city")
    before = set(files_of(tarn.data + "/primary"))
    assert {v for _, v in found(tarn.data, [WHO, MAIL, NAME], reader)} == {WHO, MAIL, NAME}
    receipt = erase(tarn, shared=True, search=[MAIL, NAME], reason="request 2024-117")
    assert found(tarn.data, [WHO, MAIL, NAME], reader) == []
    assert {n: history(tarn, n) for n in kept} == kept
    assert history(tarn, "cities", "city") == cities
    for name in kept:
        assert tarn.value(f"SELECT count(*) FROM __raw__{name} WHERE candidate_id = '{WHO}'") == 0

    assert (receipt["scan"]["clean"], receipt["scan"]["findings"]) == (True, [])
    rows = {d["dataset"]: d["rows_removed"] for d in receipt["datasets"]}
    assert rows["placements"] == 10 and rows["candidates"] >= 3 and set(rows) == {"candidates", "placements"}
    assert receipt["requested_by"] == "admin" and receipt["reason"] == "request 2024-117"
    assert receipt["subjects"]["count"] == 1
    removed = {tarn.data + "/primary/" + r["object"] for r in receipt["removed"]}
    assert before - set(files_of(tarn.data + "/primary")) <= removed | {p for p in before if "/content/" in p or "/secret/" in p or "checkpoint" in p}
    assert not any(os.path.exists(p) for p in removed)
    assert WHO not in json.dumps(receipt) and MAIL not in json.dumps(receipt)


def test_other_readers_and_fsck_find_the_table_whole(serve, tmp_path, reader):
    tarn = serve()
    lake(tarn)
    erase(tarn, shared=True)
    rows = tarn.sql("SELECT * FROM candidates ORDER BY candidate_id", format="arrays")
    [metadata] = [json.load(open(p, encoding="utf-8"))["metadata"] for p in ()] or [None]
    folder = ok(tarn.get(DATASET + "candidates"))["objects"][0]["path"].split("/data/")[0]
    newest = max(p for p in files_of(f"{tarn.data}/primary/{folder}/metadata") if p.endswith(".metadata.json"))
    table = reader.table("file://" + newest)
    at = [table["columns"].index(c) for c in ("candidate_id", "name", "email", "city")] if "columns" in table else range(4)
    assert sorted([row[i] for i in at] for row in table["rows"]) == rows, metadata
    tarn.stop()
    done = command("fsck", "--data", tarn.data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "orphans       0" in done.stdout
    assert command("journal", "verify", "--data", tarn.data).returncode == 0


def test_a_dry_run_says_what_would_go_and_touches_nothing(tarn):
    lake(tarn)
    def state():
        return [p for p in files_of(tarn.data + "/primary") if "/tables/" in p or "/content/" in p], tarn.told()
    before = state()
    seen = erase(tarn, dry_run=True)
    assert (seen["dry_run"], seen["subjects"], seen["sharing"]) == (True, 1, ["placements"])
    [one] = seen["datasets"]
    assert one["dataset"] == "candidates" and one["keys_found"] == 1 and one["rows"] >= 3 and one["files"] >= 2
    assert state() == before
    both = erase(tarn, dry_run=True, shared=True)
    assert {d["dataset"]: d["rows"] for d in both["datasets"]}["placements"] == 10
    assert ok(tarn.get("/erasures"))["erasures"] == []


def test_a_value_that_stays_elsewhere_is_told_and_the_receipt_is_not_clean(tarn):
    lake(tarn)
    tarn.ingest("notes", f"n,text\n1,spoke to {MAIL} today\n2,nothing\n")
    receipt = erase(tarn, shared=True, search=[MAIL])
    assert receipt["scan"]["clean"] is False and receipt["scan"]["found"] >= 1
    assert any("text" in f["where"] and f["object"].endswith(".parquet") for f in receipt["scan"]["findings"])
    assert MAIL not in json.dumps(receipt)
    done = command("erase", "notes", "2", "--column", "n", "--search", MAIL, "--url", tarn.url, "--data", tarn.data)
    assert done.returncode == 1 and "STILL FOUND" in done.stdout and "NOT CLEAN" in done.stdout
    assert "--shared" in done.stderr
    again = erase(tarn, "notes", [1], "n", search=[MAIL])
    assert again["scan"]["clean"] is True


def test_integer_and_short_keys(tarn, reader):
    tarn.ingest("people", "id,name\n" + "".join(f"{i},n{i}\n" for i in range(100, 200)) + "123456789,Grace Hopper\n")
    tarn.ingest("visits", "id,amount\n123456789,7\n42,123\n42,8\n150,42\n")
    receipt = erase(tarn, "people", [123456789, 150], "id", shared=True)
    assert {d["dataset"]: d["rows_removed"] for d in receipt["datasets"]} == {"people": 2, "visits": 2}
    assert receipt["scan"]["clean"] and receipt["scan"]["short_values"] == 1
    assert found(tarn.data, ["123456789", "Grace Hopper"], reader) == []
    assert tarn.sql("SELECT * FROM visits ORDER BY amount", format="arrays") == [[42, 8], [42, 123]]
    assert tarn.value("SELECT count(*) FROM people") == 99


def test_nobody_of_that_name_is_an_erasure_with_a_receipt_too(tarn):
    lake(tarn)
    receipt = erase(tarn, values=["CAND-999999"])
    assert [d["rows_removed"] for d in receipt["datasets"]] == [0] and receipt["scan"]["clean"]
    assert receipt["removed"] == []


def test_what_cannot_be_meant_is_refused(tarn):
    lake(tarn)
    for body, status, code in [
            ({"row_key_column": "nope", "row_key_values": ["x"]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": []}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [True]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [""]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": ["x" * 2000]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [WHO], "reason": f"it was {WHO}."}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [WHO], "datasets": ["nowhere"]}, 404, "not_found"),
            ({"row_key_column": "candidate_id", "row_key_values": [WHO], "datasets": ["cities"]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [WHO], "datasets": ["candidates"]}, 400, "invalid_argument"),
            ({"row_key_column": "candidate_id", "row_key_values": [WHO], "bogus": 1}, 400, "invalid_argument"),
            ({"row_key_values": [WHO]}, 400, "invalid_argument")]:
        answer = tarn.post(DATASET + "candidates/erase", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body, answer.text)
    assert tarn.post(DATASET + "nowhere/erase", json={"row_key_column": "a", "row_key_values": ["b"]}).status_code == 404
    assert ok(tarn.get("/erasures"))["erasures"] == []
    assert tarn.value(f"SELECT count(*) FROM candidates WHERE candidate_id = '{WHO}'") == 2


# Receipts

def test_a_receipt_is_verified_and_every_change_of_it_is_found(tarn, tmp_path):
    lake(tarn)
    receipt = erase(tarn, shared=True)
    text = receipt_of(tarn, receipt["id"])
    assert json.loads(text) == receipt
    verdict = verified(tarn, text)
    assert verdict["ok"], verdict
    for change in ({"reason": "another"}, {"requested_by": "somebody"}, {"removed": receipt["removed"][1:]},
                   {"scan": {**receipt["scan"], "clean": True, "objects": 1}}, {"signature": "0" * 128}):
        assert not verified(tarn, json.dumps({**receipt, **change}))["ok"], change
    key = ok(tarn.get("/erasures/key"))
    assert key["public"] == receipt["key"]["public"] and key["algorithm"] == "ed25519"
    page = tarn.get(f"/erasures/{receipt['id']}/receipt", headers={"Accept": "text/html"})
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["Content-Type"].startswith("text/html") and receipt["signature"][:16] in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    path = tmp_path / "receipt.json"
    path.write_text(text)
    done = command("erase", "--verify", str(path), "--url", tarn.url, "--data", tarn.data)
    assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr
    tarn.stop()
    done = command("erase", "--verify", str(path), "--offline", "--data", tarn.data)
    assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr
    path.write_text(text.replace('"rows_removed":', '"rows_removed": 1'))
    assert command("erase", "--verify", str(path), "--offline", "--data", tarn.data).returncode == 1
    path.write_text("{}")
    assert command("erase", "--verify", str(path), "--offline", "--data", tarn.data).returncode == 2


def test_an_object_that_comes_back_breaks_the_receipt(tarn):
    lake(tarn)
    receipt = erase(tarn, shared=True)
    gone = f"{tarn.data}/primary/{receipt['removed'][0]['object']}"
    os.makedirs(os.path.dirname(gone), exist_ok=True)
    with open(gone, "wb") as f:
        f.write(b"back")
    verdict = verified(tarn, receipt_of(tarn, receipt["id"]))
    assert [c["check"] for c in verdict["checks"] if not c["ok"]] == ["removed"]


def test_the_command_line_erases_and_saves_the_receipt(tarn, tmp_path):
    lake(tarn)
    where = ["--url", tarn.url, "--data", tarn.data]
    path = tmp_path / "receipt.json"
    looked = command("erase", "candidates", WHO, "--column", "candidate_id", "--dry-run", *where)
    assert looked.returncode == 0 and "placements" in looked.stdout
    done = command("erase", "candidates", "--keys-from", "-", "--column", "candidate_id", "--shared", "--reason", "asked",
                   "--receipt", str(path), *where, stdin=f"{WHO}\n{candidate(78)}\n")
    assert done.returncode == 0 and "clean" in done.stdout, done.stdout + done.stderr
    saved = json.loads(path.read_text())
    assert saved["subjects"]["count"] == 2
    assert saved["id"] in command("erasures", "ls", *where).stdout
    assert json.loads(command("erasures", "receipt", saved["id"], *where).stdout) == saved
    assert command("erase", "candidates", *where).returncode == 2
    assert command("erase", "candidates", "x", *where).returncode == 2
    assert command("erase", "nowhere", "x", "--column", "a", *where).returncode == 3


# Every place

def test_the_hot_copies_and_pinned_rows_are_forgotten(tarn):
    lake(tarn)
    ok(tarn.post("/query/cache/pin", json={"dataset": "candidates"}))
    assert tarn.value(f"SELECT count(*) FROM candidates WHERE candidate_id = '{WHO}'") == 2
    erase(tarn)
    assert tarn.value(f"SELECT count(*) FROM candidates WHERE candidate_id = '{WHO}'") == 0
    assert tarn.value("SELECT count(*) FROM candidates") == 498


def test_tombstones_of_the_person_go_too(tarn, reader):
    lake(tarn)
    ok(tarn.post(DATASET + "candidates/tombstone",
                 json={"row_key_column": "candidate_id", "row_key_values": [WHO, candidate(3)], "reason": "asked"}))
    receipt = erase(tarn, shared=True)
    assert found(tarn.data, [WHO, MAIL], reader) == []
    listed = ok(tarn.get(DATASET + "candidates/tombstone"))
    assert [t["row_key_value"] for t in listed["tombstones"]] == [candidate(3)]
    assert {d["dataset"]: d["tombstones"] for d in receipt["datasets"]}["candidates"] == 1
    assert tarn.value(f"SELECT count(*) FROM candidates WHERE candidate_id = '{candidate(3)}'") == 0
    back = ok(tarn.post(DATASET + "candidates/tombstone/undo", json={"row_key_values": [candidate(3)]}))
    assert back["rows_restored"] == 1


def test_what_a_tombstone_holds_is_erased_only_when_that_is_overridden(tarn):
    lake(tarn)
    ok(tarn.post(DATASET + "candidates/tombstone", json={
        "row_key_column": "candidate_id", "row_key_values": [WHO], "purge_not_before": "2099-01-01T00:00:00Z"}))
    assert erase(tarn, dry_run=True)["held"] == 1
    answer = tarn.post(DATASET + "candidates/erase", json={"row_key_column": "candidate_id", "row_key_values": [WHO]})
    assert answer.status_code == 409 and "2099-01-01" in answer.json()["detail"]
    assert ok(tarn.get("/erasures"))["erasures"] == []
    receipt = erase(tarn, shared=True, override_hold=True)
    assert receipt["scan"]["clean"]
    assert erase(tarn, dry_run=True)["held"] == 0


def test_a_later_ingest_of_the_old_file_does_not_bring_the_person_back(tarn, reader):
    lake(tarn)
    receipt = erase(tarn, shared=True, suppress=True)
    assert receipt["suppression"] == {"kept": True, "keys": 1}
    where = ["--url", tarn.url, "--data", tarn.data]
    listed = command("suppressions", "ls", *where)
    assert listed.returncode == 0 and "candidates" in listed.stdout and WHO not in listed.stdout
    old = people(70, 80)
    answer = tarn.ingest("candidates", old, mode="append")
    assert answer["rows_suppressed"] == 1 and answer["rows"] == 9
    answer = ok(tarn.post("/ingest/delta", json={"dataset": "candidates", "mode": "upsert", "key": "candidate_id", "rows": [
        {"candidate_id": WHO, "name": NAME, "email": MAIL, "city": "London"}]}))
    assert answer["rows_suppressed"] == 1
    tarn.sql(f"INSERT INTO candidates VALUES ('{WHO}', '{NAME}', '{MAIL}', 'Paris')")
    assert tarn.value(f"SELECT count(*) FROM candidates WHERE candidate_id = '{WHO}'") == 0
    assert [p for p, _ in found(tarn.data + "/primary", [WHO, MAIL], reader)] == []
    assert command("suppressions", "rm", "candidates", "--reason", "consent is there", *where).returncode == 0
    assert tarn.ingest("candidates", old, mode="append")["rows"] == 10
    assert command("suppressions", "rm", "candidates", *where).returncode == 3


def test_rejected_rows_are_searched_and_removed(tarn, reader):
    bad = "candidate_id,n\n" + "".join(f"{candidate(i)},{i}\n" for i in range(80)) + f"{WHO},seven,too many\n"
    answer = tarn.ingest("candidates", bad, on_error="reject")
    assert tarn.get(answer["rejected"]["url"]).status_code == 200
    receipt = erase(tarn)
    assert receipt["scan"]["clean"], receipt["scan"]
    assert found(tarn.data, [WHO], reader) == []


def test_a_query_that_reads_meanwhile_is_waited_for_and_sees_its_snapshot(serve):
    tarn = serve("--erase-wait", "60s")
    tarn.ingest("big", "id,who\n" + "".join(f"{i},w{i % 1000}\n" for i in range(200000)))
    done = []
    sql = "SELECT a.who FROM big a, range(20) r"
    with tarn.post("/query/sql", json={"sql": sql}, stream=True, headers={"Accept": "text/csv"}) as answer:
        pieces = answer.iter_content(1 << 16)
        lines = next(pieces).count(b"\n")
        worker = threading.Thread(target=lambda: done.append(erase(tarn, "big", ["w7"], "who")))
        worker.start()
        time.sleep(0.5)
        assert lines + sum(piece.count(b"\n") for piece in pieces) == 200000 * 20 + 1
    worker.join(60)
    assert done and done[0]["datasets"][0]["rows_removed"] == 200
    assert tarn.value("SELECT count(*) FROM big") == 199800


# Kills

def test_an_erasure_that_is_killed_at_any_moment_ends_in_the_same_place(tmp_path, reader):
    chance = random.Random(SEED)
    print(f"TARN_SEED={SEED}")
    server = Server(tmp_path / "data")
    lake(server)
    kept = {n: history(server, n, but=[WHO]) for n in ("candidates", "placements")}
    started = time.monotonic()
    erase(server, shared=True, values=["CAND-888888"])
    whole = time.monotonic() - started

    def ask():
        try:
            erase(server, shared=True, search=[MAIL, NAME])
        except (requests.RequestException, AssertionError):
            pass

    kills = 0
    asker = threading.Thread(target=ask)
    asker.start()
    while kills < 12:
        time.sleep(chance.uniform(0, max(whole, 0.1)))
        server.kill()
        kills += 1
        asker.join(60)
        server = Server(tmp_path / "data")
        if len(ok(server.get("/erasures"))["erasures"]) < 2:
            asker = threading.Thread(target=ask)
            asker.start()
    asker.join(60)
    erasures = all_done(server)
    assert all(e["clean"] for e in erasures), erasures
    assert found(server.data, [WHO, MAIL, NAME], reader) == []
    assert {n: history(server, n) for n in kept} == kept
    for one in erasures:
        assert verified(server, receipt_of(server, one["id"]))["ok"]
    server.stop()
    assert command("journal", "verify", "--data", server.data).returncode == 0
    done = command("fsck", "--data", server.data)
    assert done.returncode == 0 and "orphans       0" in done.stdout, done.stdout


def test_an_erasure_whose_job_is_stopped_goes_on_when_it_is_asked_to(tarn):
    lake(tarn)
    answer = tarn.post(DATASET + "candidates/erase", headers={"Prefer": "respond-async"},
                       json={"row_key_column": "candidate_id", "row_key_values": [WHO], "shared": True})
    job = ok(answer, 202)
    tarn.delete(f"/jobs/{job['id']}")
    number = answer.headers["X-Tarn-Erasure"]
    wait_until(lambda: ok(tarn.get(f"/jobs/{job['id']}"))["ended_at"])
    receipt = ok(tarn.post(f"/erasures/{number}/resume"))
    assert receipt["id"] == number and receipt["scan"]["clean"]
    assert ok(tarn.get(f"/erasures/{number}"))["state"] == "done"


def test_nothing_of_the_person_is_in_the_log_and_the_handles_lead_nowhere(tarn):
    lake(tarn)
    ok(tarn.post(DATASET + "candidates/tombstone",
                 json={"row_key_column": "candidate_id", "row_key_values": [WHO], "reason": "asked"}))
    receipt = erase(tarn, shared=True, search=[MAIL])
    entries = ok(tarn.get("/journal?limit=1000"))["entries"]
    told = [h for e in entries for h in ((e.get("details") or {}).get("subjects") or [])]
    assert told and set(told) <= set(receipt["subjects"]["handles"])
    assert WHO not in json.dumps(entries) and MAIL not in json.dumps(entries)
    assert not os.path.isdir(tarn.data + "/primary/_catalog/content") or \
        not os.listdir(tarn.data + "/primary/_catalog/content")
