"""The hot cache: /query/cache/pin, /query/cache/evict, /query/cache/stats, and tarn cache."""

import os
import subprocess
import threading


from conftest import TARN, wait_until


def rows(n, first=0):
    return "id,name,v\n" + "".join(f"{i},name {i},{i * 7 % 100}\n" for i in range(first, first + n))


def pin(t, name):
    answer = t.post("/query/cache/pin", json={"dataset": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def evict(t, **which):
    return t.post("/query/cache/evict", json=which)


def stats(t, name=None):
    answer = t.get("/query/cache/stats")
    assert answer.status_code == 200, answer.text
    if name is None:
        return answer.json()
    return next((d for d in answer.json()["datasets"] if d["dataset"] == name), None)


def digest(t, name):
    return t.sql(f"SELECT count(*), count(DISTINCT id), sum(id), sum(v), min(name), max(name) FROM {name}",
                 format="arrays")


def test_a_pinned_dataset_is_served_from_memory(t):
    t.ingest("pinned", rows(5000))
    before = digest(t, "pinned")
    shown = pin(t, "pinned")
    assert shown["pinned"] and shown["rows"] == 5000 and shown["bytes"] > 0 and shown["load_ms"] > 0
    hits, misses = t.metric("hot_hits"), t.metric("hot_misses")
    assert digest(t, "pinned") == before
    assert (t.metric("hot_hits"), t.metric("hot_misses")) == (hits + 1, misses)
    assert stats(t, "pinned")["hits"] >= 1
    assert stats(t)["bytes"] >= shown["bytes"] and t.metric("hot_bytes") > 0
    assert stats(t)["budget_bytes"] > 0
    assert evict(t, dataset="pinned").json() == {"evicted": 1}
    assert stats(t, "pinned")["bytes"] == 0 and not stats(t, "pinned")["pinned"]
    assert digest(t, "pinned") == before
    assert t.metric("hot_misses") > misses


def test_memory_follows_deltas_and_old_versions_stay_right(t):
    t.ingest("moves", rows(3000))
    pin(t, "moves")
    loads = stats(t, "moves")["loads"]
    for i in range(10):
        answer = t.post("/ingest/delta", json={"dataset": "moves", "mode": "upsert", "key": "id", "rows": [
            {"id": i, "name": "changed", "v": 1000}, {"id": 5000 + i, "name": "new", "v": 0}]})
        assert answer.status_code == 200, answer.text
        assert t.value("SELECT count(*) FROM moves WHERE name = 'changed'") == i + 1
        assert t.value(f"SELECT count(*) FROM moves AT (VERSION => {i + 1}) WHERE name = 'changed'") == i
    wait_until(lambda: stats(t, "moves")["files"] == 11)
    assert stats(t, "moves")["loads"] > loads
    hits = stats(t, "moves")["hits"]
    assert t.value("SELECT count(*) FROM moves") == 3010
    assert t.value("SELECT count(*) FROM moves AT (VERSION => 4) WHERE id >= 5000") == 3
    assert stats(t, "moves")["hits"] == hits + 2
    answer = t.post("/ingest/delta", json={"dataset": "moves", "mode": "delete", "key": "id",
                                           "rows": [{"id": i} for i in range(100)]})
    assert answer.status_code == 200, answer.text
    assert t.value("SELECT min(id) FROM moves") == 100


def test_replacing_and_dropping_leave_nothing_behind(t):
    t.ingest("goes", rows(2000))
    pin(t, "goes")
    assert t.upload("goes", rows(10), mode="replace").status_code == 200
    wait_until(lambda: stats(t, "goes")["rows"] == 10)
    assert t.value("SELECT count(*) FROM goes") == 10
    assert t.delete("/catalog/datasets/by-name/goes").status_code == 200
    wait_until(lambda: (stats(t, "goes") or {"bytes": 0})["bytes"] == 0)
    t.ingest("goes", rows(3, first=7))
    assert t.value("SELECT min(id) FROM goes") == 7


def test_a_new_column_is_null_in_old_rows(t):
    t.ingest("grown", "id,a\n1,x\n2,y\n")
    pin(t, "grown")
    assert t.upload("grown", "id,a,b\n3,z,9\n", mode="append", evolve="true").status_code == 200
    pin(t, "grown")
    assert t.sql("SELECT * FROM grown ORDER BY id", format="arrays") == [[1, "x", None], [2, "y", None], [3, "z", 9]]
    assert stats(t, "grown")["files"] == 2


def test_datasets_asked_again_and_again_become_hot(serve):
    t = serve("--hot-asks", 3)
    t.ingest("asked", rows(1000))
    t.ingest("once", rows(1000))
    assert t.value("SELECT count(*) FROM once") == 1000
    for _ in range(3):
        assert t.value("SELECT count(*) FROM asked") == 1000
    wait_until(lambda: stats(t, "asked")["rows"] == 1000)
    assert not stats(t, "asked")["pinned"]
    assert stats(t, "once")["rows"] == 0


def test_what_does_not_fit_is_read_from_its_files(serve):
    t = serve("--hot-bytes", "1M", "--hot-asks", 1)
    t.ingest("large", "id,x,y\n" + "".join(f"{i},{i * 7919 % 1000003},{i ** 3 % 999983}\n" for i in range(100000)))
    assert t.value("SELECT count(*) FROM large") == 100000
    answer = t.post("/query/cache/pin", json={"dataset": "large"})
    assert answer.status_code == 413 and "hot.bytes" in answer.json()["detail"]
    assert t.value("SELECT count(*) FROM large") == 100000
    shown = stats(t, "large")
    assert shown["load_failures"] >= 1 and shown["bytes"] == 0 and "hot.bytes" in shown["error"]
    assert t.metric("hot_load_failures") >= 1


def test_bad_requests_are_told(t):
    t.ingest("here", "id\n1\n")
    assert t.post("/query/cache/pin", json={"dataset": "nowhere"}).status_code == 404
    assert t.post("/query/cache/pin", json={}).status_code == 400
    assert t.post("/query/cache/pin", json={"dataset": "here", "x": 1}).status_code == 400
    assert evict(t).status_code == 400
    assert evict(t, dataset="here", all=True).status_code == 400
    assert evict(t, dataset="nowhere").status_code == 404
    assert evict(t, dataset="here").json() == {"evicted": 0}


def test_copies_cannot_be_named_in_sql(t):
    t.ingest("secret", "id\n1\n")
    pin(t, "secret")
    for name in ["tarn_hot_1.main.t", "tarn_hot_1.t", "duckdb_databases()", "duckdb_tables()", "duckdb_memory()"]:
        assert t.query(f"SELECT * FROM {name}").status_code in (404, 422), name


def test_evictions_never_disturb_queries(t):
    t.ingest("busy", rows(20000))
    expected = digest(t, "busy")
    failures = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            try:
                if digest(t, "busy") != expected:
                    failures.append("another answer")
            except Exception as e:  # pylint: disable=broad-except
                failures.append(repr(e))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(15):
        pin(t, "busy")
        assert evict(t, all=True).status_code == 200
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures, failures[:3]


def test_the_command_line_pins_lists_and_evicts(t):
    t.ingest("by_hand", rows(100))

    def tarn(*words):
        return subprocess.run([TARN, "cache", *words], capture_output=True, text=True, timeout=60, check=True,
                              env={**os.environ, "TARN_URL": t.url, "TARN_TOKEN": t.token})

    assert "by_hand is in memory" in tarn("pin", "by_hand").stderr
    [line] = [line for line in tarn("stats").stdout.splitlines() if line.startswith("by_hand")]
    assert "yes" in line and "100" in line
    assert "1 dataset left memory" in tarn("evict", "by_hand").stderr
    assert "0 datasets left memory" in tarn("evict", "by_hand").stderr
