"""Compaction, snapshots, orphans and jobs, from outside."""

import glob
import json
import os
import subprocess
import threading
import time

import pytest
from conftest import Server, wait_until

FLIGHTS = os.path.join(os.environ.get("TARN_DEMO_DATA", ""), "flights-3m.parquet")
DATASET = "/catalog/datasets/by-name/"


def csv(first, last):
    return "id,v\n" + "".join(f"{i},{i * 7}\n" for i in range(first, last))


def appended(server, name, parts=4, rows=100):
    for i in range(parts):
        server.ingest(name, csv(i * rows, i * rows + rows), mode="append" if i else "create")


def ok(answer, status=200):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    return answer.json()


def compact(server, **body):
    return ok(server.post("/query/compact", json=body))


def as_job(server, path, **body):
    """Starts the work as a job; its id."""
    answer = server.post(path, json=body, headers={"Prefer": "respond-async"})
    job = ok(answer, 202)
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    return job["id"]


def ended(server, job):
    return wait_until(lambda: (j := ok(server.get(f"/jobs/{job}"))) and j["ended_at"] and j, 60)


def objects(server, name):
    shown = ok(server.get(DATASET + name))
    [folder] = {o["path"].split("/data/")[0] for o in shown["objects"]}
    return f"{server.data}/primary/{folder}"


def test_compaction_gives_the_same_answer_from_fewer_files(tarn):
    appended(tarn, "a")
    before = tarn.sql("SELECT * FROM a ORDER BY id")
    planned = compact(tarn, dataset="a", dry_run=True)
    assert (planned["files_read"], planned["files_after"], planned["dry_run"]) == (4, 1, True)
    assert ok(tarn.get(DATASET + "a"))["files"] == 4
    done = compact(tarn, dataset="a")
    assert (done["files_before"], done["files_after"], done["rows"], done["bins"]) == (4, 1, 400, 1)
    assert done["deletes_applied"] == 0 and done["bytes_after"] < done["bytes_before"]
    assert ok(tarn.get(DATASET + "a"))["files"] == 1
    assert tarn.sql("SELECT * FROM a ORDER BY id") == before
    assert tarn.value("SELECT count(*) FROM a AT (VERSION => 2)") == 200
    assert compact(tarn, dataset="a")["bins"] == 0


def test_all_datasets_are_compacted_and_a_wrong_request_is_refused(tarn):
    appended(tarn, "a", 2)
    appended(tarn, "b", 3)
    done = compact(tarn, all=True)["datasets"]
    assert [(d["dataset"], d["files_read"], d["files_after"]) for d in done] == [("a", 2, 1), ("b", 3, 1)]
    for body, status in [({}, 400), ({"dataset": "a", "all": True}, 400), ({"dataset": "nowhere"}, 404),
                         ({"dataset": "a", "cluster_by": []}, 400), ({"dataset": "a", "cluster_by": ["x"]}, 400),
                         ({"dataset": "a", "target_bytes": 1}, 400), ({"dataset": "a", "deletes_share": 2}, 400),
                         ({"dataset": "a", "bogus": 1}, 400)]:
        answer = tarn.post("/query/compact", json=body)
        assert answer.status_code == status, (body, answer.text)


def test_rows_can_be_sorted(tarn):
    tarn.ingest("a", "id,v\n" + "".join(f"{(i * 7919) % 1000},{i}\n" for i in range(1000)))
    assert tarn.sql("SELECT id FROM a LIMIT 3") != [{"id": 0}, {"id": 1}, {"id": 2}]
    assert compact(tarn, dataset="a", cluster_by=["id"])["rows"] == 1000
    assert tarn.sql("SELECT id FROM a LIMIT 3") == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_a_job_can_be_seen_and_waited_for(tarn):
    appended(tarn, "a")
    job = as_job(tarn, "/query/compact", dataset="a")
    done = ended(tarn, job)
    assert (done["state"], done["kind"], done["target"]) == ("done", "compact", "a")
    assert done["result"]["files_after"] == 1
    assert done["principal"] == "admin"
    answer = tarn.get(f"/jobs/{job}/events", stream=True)
    assert answer.headers["Content-Type"] == "text/event-stream"
    text = answer.text
    assert text.startswith("event: end\n")
    assert json.loads(text.split("data: ")[1])["id"] == job
    assert tarn.delete(f"/jobs/{job}").status_code == 409
    assert tarn.get("/jobs/nowhere").status_code == 404
    assert tarn.delete("/jobs/nowhere").status_code == 404


def test_jobs_are_listed_in_pages_newest_first(tarn):
    appended(tarn, "a", 1)
    ids = [as_job(tarn, "/query/compact", dataset="a") for _ in range(3)]
    for job in ids:
        ended(tarn, job)
    compact(tarn, dataset="a")  # work that the client waits for is a job as well
    page = ok(tarn.get("/jobs?limit=2"))
    rest = ok(tarn.get(f"/jobs?limit=2&cursor={page['next']}"))
    assert [j["id"] for j in page["jobs"][1:] + rest["jobs"]] == ids[::-1]
    assert rest["next"] is None


def test_a_failed_job_says_why(tarn):
    appended(tarn, "a", 1)
    failed = ended(tarn, as_job(tarn, DATASET + "a/rollback", version=99))
    assert failed["state"] == "failed"
    assert failed["error"]["code"] == "not_found" and "99" in failed["error"]["detail"]


def many_bins(server):
    if not os.path.exists(FLIGHTS):
        pytest.skip("no flights")
    with open(FLIGHTS, "rb") as f:
        body = f.read()
    server.ingest("f", body)
    compact(server, dataset="f", target_bytes=1 << 20, cluster_by=["origin"])
    server.ingest("f", body, mode="append")


def test_a_compaction_is_stopped_between_bins_and_goes_on_later(serve):
    tarn = serve("--ingest-target-file", "1M")
    many_bins(tarn)
    rows = tarn.value("SELECT count(*) FROM f")
    job = as_job(tarn, "/query/compact", dataset="f", target_bytes=8 << 20)
    events = []
    with tarn.get(f"/jobs/{job}/events", stream=True) as answer:
        for line in answer.iter_lines(decode_unicode=True):
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["done"] > 0 and not events[-1]["cancelling"] and not events[-1]["ended_at"]:
                    tarn.delete(f"/jobs/{job}")
    assert events[-1]["state"] == "cancelled"
    files = ok(tarn.get(DATASET + "f"))["files"]
    assert tarn.value("SELECT count(*) FROM f") == rows
    rest = compact(tarn, dataset="f", target_bytes=8 << 20)
    assert rest["files_before"] == files and rest["bins"] > 0 and rest["files_after"] < files
    assert tarn.value("SELECT count(*) FROM f") == rows


def test_a_kill_in_a_compaction_loses_nothing(serve, tmp_path):
    tarn = serve("--ingest-target-file", "1M")
    many_bins(tarn)
    before = tarn.sql("SELECT count(*) AS n, sum(delay) AS d, min(origin) AS o, max(date) AS m FROM f")
    job = as_job(tarn, "/query/compact", dataset="f", target_bytes=8 << 20)
    wait_until(lambda: ok(tarn.get(f"/jobs/{job}"))["done"] > 0, 60)
    tarn.kill()
    again = Server(tarn.data)
    try:
        assert again.sql("SELECT count(*) AS n, sum(delay) AS d, min(origin) AS o, max(date) AS m FROM f") == before
        assert compact(again, dataset="f", target_bytes=8 << 20)["bins"] > 0
        assert again.sql("SELECT count(*) AS n, sum(delay) AS d, min(origin) AS o, max(date) AS m FROM f") == before
        folder = objects(again, "f")
        for path in glob.glob(folder + "/*/*"):
            os.utime(path, (time.time() - 7200,) * 2)
        found = ok(again.post(DATASET + "f/orphans", json={"older_than_ms": 3600000}))
        assert again.sql("SELECT count(*) AS n, sum(delay) AS d, min(origin) AS o, max(date) AS m FROM f") == before
        assert ok(again.post(DATASET + "f/orphans", json={"older_than_ms": 3600000}))["orphans"] == 0
        assert found["objects_seen"] > 0
    finally:
        again.stop()


def test_snapshots_are_listed_and_rolled_back_to(tarn):
    appended(tarn, "a", 3)
    listed = ok(tarn.get(DATASET + "a/snapshots"))["snapshots"]
    assert [(s["sequence_number"], s["operation"], s["rows"], s["current"]) for s in listed] == [
        (3, "append", 300, True), (2, "append", 200, False), (1, "append", 100, False)]
    page = ok(tarn.get(DATASET + "a/snapshots?limit=2"))
    rest = ok(tarn.get(DATASET + f"a/snapshots?limit=2&cursor={page['next']}"))
    assert page["snapshots"] + rest["snapshots"] == listed and rest["next"] is None
    planned = ok(tarn.post(DATASET + "a/rollback", json={"version": 2, "dry_run": True}))
    assert (planned["rows_before"], planned["rows_after"]) == (300, 200)
    assert tarn.value("SELECT count(*) FROM a") == 300
    done = ok(tarn.post(DATASET + "a/rollback?reason=wrong+file", json={"version": listed[1]["id"]}))
    assert (done["from"], done["to"], done["rows_after"]) == (listed[0]["id"], listed[1]["id"], 200)
    assert tarn.value("SELECT count(*) FROM a") == 200
    assert tarn.told(outcome="done")[0]["action"] == "dataset.rollback"
    tarn.ingest("a", csv(900, 910), mode="append")
    assert tarn.value("SELECT count(*) FROM a") == 210
    assert tarn.value(f"SELECT count(*) FROM a AT (VERSION => {listed[0]['id']})") == 300
    assert tarn.post(DATASET + "a/rollback", json={}).status_code == 400


def test_expiry_removes_what_only_old_snapshots_need(tarn):
    appended(tarn, "a")
    compact(tarn, dataset="a")
    folder = objects(tarn, "a")
    assert len(os.listdir(folder + "/data")) == 5
    assert ok(tarn.post(DATASET + "a/expire"))["snapshots_removed"] == 0  # all are young
    planned = ok(tarn.post(DATASET + "a/expire", json={"keep_max": 1, "dry_run": True}))
    assert planned["snapshots_removed"] == 4 and len(os.listdir(folder + "/data")) == 5
    done = ok(tarn.post(DATASET + "a/expire", json={"keep_max": 1}))
    assert (done["snapshots_before"], done["snapshots_after"]) == (5, 1)
    assert len(os.listdir(folder + "/data")) == 1
    assert tarn.value("SELECT sum(id) FROM a") == 399 * 200
    gone = tarn.query("SELECT count(*) FROM a AT (VERSION => 2)")
    assert gone.status_code == 404
    time.sleep(0.01)
    assert ok(tarn.post(DATASET + "a/expire", json={"max_age_ms": 0}))["snapshots_after"] == 1


def test_orphans_are_found_and_removed_after_the_safety_window(tarn):
    appended(tarn, "a", 1)
    folder = objects(tarn, "a")
    for name, age in [("old.parquet", 4 * 86400), ("young.parquet", 60)]:
        with open(f"{folder}/data/{name}", "w", encoding="ascii") as f:
            f.write("left")
        os.utime(f"{folder}/data/{name}", (time.time() - age,) * 2)
    planned = ok(tarn.post(DATASET + "a/orphans", json={"dry_run": True}))
    assert planned["orphans"] == 1 and planned["names"][0].endswith("/data/old.parquet")
    assert os.path.exists(f"{folder}/data/old.parquet")
    assert ok(tarn.post(DATASET + "a/orphans"))["bytes"] == 4
    assert not os.path.exists(f"{folder}/data/old.parquet")
    assert os.path.exists(f"{folder}/data/young.parquet")
    assert tarn.post(DATASET + "a/orphans", json={"older_than_ms": 1000}).status_code == 400
    assert tarn.value("SELECT count(*) FROM a") == 100


def test_queries_are_right_while_files_come_and_go(tarn):
    appended(tarn, "a")
    wrong = []
    stop = threading.Event()

    def ask():
        other = Client(tarn)
        while not stop.is_set():
            [row] = other.sql("SELECT count(*) AS n, sum(id) AS s FROM a")
            if row["s"] != sum(range(row["n"])):
                wrong.append(row)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(4, 16):
        tarn.ingest("a", csv(i * 100, i * 100 + 100), mode="append")
        compact(tarn, dataset="a")
        ok(tarn.post(DATASET + "a/expire", json={"keep_max": 1}))
    stop.set()
    for t in threads:
        t.join()
    assert not wrong
    assert tarn.value("SELECT count(*) FROM a") == 1600
    # A query lets go of its files a little after its answer has been read.
    wait_until(lambda: len(os.listdir(objects(tarn, "a") + "/data")) <= 2)


class Client(Server):
    """Another connection to a server that runs already."""

    def __init__(self, server):
        import requests
        self.session = requests.Session()
        self.session.trust_env = False
        self.url, self.token = server.url, server.token


def run_cli(server, *words, code=0):
    done = subprocess.run([os.environ.get("TARN_BIN", "tarn"), *words], capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "TARN_URL": server.url, "TARN_TOKEN": server.token})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_commands_do_the_same(tarn):
    appended(tarn, "a")
    assert json.loads(run_cli(tarn, "compact", "a", "--dry-run", "--json"))["files_after"] == 1
    assert "files after      1\n" in run_cli(tarn, "compact", "a")
    assert "a" in run_cli(tarn, "compact", "--all")
    run_cli(tarn, "compact", code=2)
    listed = run_cli(tarn, "snapshots", "ls", "a")
    assert "replace" in listed and "current" in listed
    assert "rows after       100\n" in run_cli(tarn, "snapshots", "rollback", "a", "1")
    run_cli(tarn, "snapshots", "rollback", "a", "77", code=3)
    assert "snapshots after  1\n" in run_cli(tarn, "snapshots", "expire", "a", "--keep-max", "1", "--older-than", "0s")
    assert "orphans          0\n" in run_cli(tarn, "snapshots", "orphans", "a")
    jobs = run_cli(tarn, "jobs", "ls")
    assert "compact" in jobs and "rollback" in jobs
    job = ok(tarn.get("/jobs"))["jobs"][0]["id"]
    assert json.loads(run_cli(tarn, "jobs", "show", job))["state"] == "done"
    run_cli(tarn, "jobs", "stop", job, code=5)


def test_fsck_finds_what_is_missing_and_leaves_the_folder_alone(tarn):
    appended(tarn, "a")
    folder = objects(tarn, "a")
    tarn.stop()
    before = sorted(glob.glob(tarn.data + "/primary/**", recursive=True))
    assert "verdict       good" in run_cli(tarn, "fsck", "--data", tarn.data)
    assert sorted(glob.glob(tarn.data + "/primary/**", recursive=True)) == before
    name = sorted(os.listdir(folder + "/data"))[0]
    os.remove(f"{folder}/data/{name}")
    found = json.loads(run_cli(tarn, "fsck", "--data", tarn.data, "--json", code=1))
    assert found["damages"] > 0
    assert any(name in f["object"] and f["mend"] for f in found["findings"])
    run_cli(tarn, "fsck", "--data", tarn.data + "/nowhere", code=3)


def test_small_files_are_compacted_unasked(serve):
    tarn = serve("--upkeep-interval", "100ms", "--upkeep-small-files", "4")
    appended(tarn, "a", 6)
    wait_until(lambda: ok(tarn.get(DATASET + "a"))["files"] <= 2, 30)
    job = ok(tarn.get("/jobs"))["jobs"][0]
    assert (job["kind"], job["target"], job["principal"]) == ("upkeep", "a", "upkeep")
    assert tarn.value("SELECT sum(id) FROM a") == sum(range(600))
