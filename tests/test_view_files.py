"""Masked files from outside: made once, kept within bounds, and gone with an erasure, as is what views say of a person."""

import glob
import json
import os
import threading

from test_erasure import MAIL, NAME, WHO, erase, found, lake, ok

SAFE = {"name": "safe", "base_dataset": "candidates", "columns": ["candidate_id", "name", "city"],
        "column_redactions": {"name": "hash"}}


def put(server, **members):
    answer = server.post("/catalog/views", json={**SAFE, "replace": True, **members})
    return ok(answer, answer.status_code if answer.status_code == 201 else 200)


def masked(server):
    return sorted(glob.glob(server.data + "/cache/masked/*.parquet"))


def counted(server, name):
    lines = server.get("/metrics").text.splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith(f"tarn_{name} "))))


def test_files_are_made_once_and_only_for_what_is_new(serve):
    tarn = serve()
    tarn.ingest("people", "id,name\n" + "".join(f"{i},n{i}\n" for i in range(100)))
    put(tarn, base_dataset="people", columns=["id", "name"], row_filter="id % 2 = 0")
    for _ in range(3):
        assert tarn.value("SELECT count(*) FROM safe") == 50
    assert (len(masked(tarn)), counted(tarn, "view_makes_total")) == (1, 1)
    first = masked(tarn)
    tarn.ingest("people", "id,name\n200,x\n", mode="append")
    assert tarn.value("SELECT count(*) FROM safe") == 51
    assert (len(masked(tarn)), counted(tarn, "view_makes_total")) == (2, 2)
    assert counted(tarn, "view_hits_total") >= 3 and counted(tarn, "view_files") == 2
    tarn.stop()
    again = serve(data=tarn.data)
    assert again.value("SELECT count(*) FROM safe") == 51
    assert counted(again, "view_makes_total") == 0 and first[0] in masked(again)
    put(again, base_dataset="people", columns=["id"], column_redactions={})
    assert masked(again) == []  # of a definition that holds no more


def test_an_erasure_takes_the_person_out_of_masked_files(serve, reader):
    tarn = serve()
    lake(tarn)
    put(tarn)
    put(tarn, name="other", base_dataset="placements", columns=["candidate_id"], column_redactions={})
    rows = tarn.value("SELECT count(*) FROM safe")
    assert tarn.value(f"SELECT count(*) FROM safe WHERE candidate_id = '{WHO}'") >= 1
    assert tarn.value(f"SELECT count(*) FROM other WHERE candidate_id = '{WHO}'") == 10
    assert any("cache/masked/" in path for path, _ in found(tarn.data, [WHO], reader))
    receipt = erase(tarn, shared=True, search=[MAIL, NAME])
    assert receipt["scan"]["clean"] is True
    assert masked(tarn) == [] and found(tarn.data, [WHO, MAIL, NAME], reader) == []
    assert tarn.value(f"SELECT count(*) FROM safe WHERE candidate_id = '{WHO}'") == 0
    assert tarn.value("SELECT count(*) FROM safe") < rows
    assert found(tarn.data, [WHO, MAIL, NAME], reader) == []


def test_views_that_are_asked_while_a_person_is_erased_leave_nothing_of_them(serve, reader):
    tarn = serve()
    lake(tarn)
    put(tarn)
    versions = [s["id"] for s in ok(tarn.get("/catalog/datasets/by-name/candidates/snapshots"))["snapshots"]]
    over, strange = threading.Event(), []

    def ask(number):
        while not over.is_set():
            at = f" AT (VERSION => {versions[number % len(versions)]})" if number else ""
            answer = tarn.query(f"SELECT count(*), min(name) FROM safe{at}")
            if answer.status_code not in (200, 409, 500, 503):
                strange.append(answer.text)

    askers = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for one in askers:
        one.start()
    try:
        receipt = erase(tarn, shared=True, search=[MAIL, NAME])
    finally:
        over.set()
        for one in askers:
            one.join()
    assert strange == []
    assert receipt["scan"]["clean"] is True, receipt["scan"]["findings"]
    assert found(tarn.data, [WHO, MAIL, NAME], reader) == []
    assert tarn.value("SELECT count(*) FROM safe") > 0


def test_an_erasure_is_refused_while_a_filter_names_the_person(serve, reader):
    tarn = serve()
    lake(tarn)
    put(tarn, row_filter=f"candidate_id <> '{WHO}'")
    answer = tarn.post("/catalog/datasets/by-name/candidates/erase",
                       json={"row_key_column": "candidate_id", "row_key_values": [WHO]})
    assert answer.status_code == 409 and '\\"safe\\"' in answer.text and WHO not in answer.text
    assert ok(tarn.get("/erasures"))["erasures"] == []
    put(tarn, row_filter=f"name <> '{NAME}'")
    answer = tarn.post("/catalog/datasets/by-name/candidates/erase",
                       json={"row_key_column": "candidate_id", "row_key_values": [WHO], "search": [NAME]})
    assert answer.status_code == 409 and NAME not in answer.text
    put(tarn, row_filter="city <> 'Oslo'")
    receipt = erase(tarn, shared=True, search=[MAIL, NAME])
    assert receipt["scan"]["clean"] is True
    assert found(tarn.data, [WHO, MAIL, NAME], reader) == []
    shown = [ok(tarn.get(f"/catalog/views/safe?version={n}")) for n in (1, 2, 3)]
    assert [v["row_filter"] for v in shown] == ["-- erased", "-- erased", "city <> 'Oslo'"]
    assert tarn.post("/catalog/views", json={**SAFE, "replace": True, "row_filter": "-- erased"}).status_code == 422
    assert any(r["object"].startswith("_catalog/content/") for r in receipt["removed"])
    assert WHO not in json.dumps(receipt)
    assert tarn.value("SELECT count(*) FROM safe") > 0
    assert ok(tarn.get("/journal/verify"))["good"] is True


def test_a_filter_that_fails_on_a_row_says_nothing_of_it(serve):
    tarn = serve()
    tarn.ingest("raw", "id,n\n1,5\n2,canary77\n3,x\n")
    put(tarn, base_dataset="raw", columns=["id"], column_redactions={}, row_filter="CAST(n AS INTEGER) > 1")
    for _ in range(2):
        answer = tarn.query("SELECT count(*) FROM safe")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_data")
        assert "preview" in answer.text and "canary77" not in answer.text
    assert counted(tarn, "view_failures_total") == 1
    assert "view.make" in tarn.log and "canary77" not in tarn.log


def test_a_small_cache_makes_room_and_says_when_it_cannot(serve):
    tarn = serve("--view-cache", "1M")
    tarn.ingest("wide", "id,text\n" + "".join(f"{i},{os.urandom(40).hex()}\n" for i in range(8000)))
    tarn.ingest("large", "id,text\n" + "".join(f"{i},{os.urandom(90).hex()}\n" for i in range(8000)))
    for name in ("a", "b", "c"):
        put(tarn, name=name, base_dataset="wide", columns=["id", "text"], column_redactions={})
        assert tarn.value(f"SELECT count(*) FROM {name}") == 8000
    assert sum(os.path.getsize(path) for path in masked(tarn)) <= 1 << 20
    assert counted(tarn, "view_evictions_total") >= 1
    put(tarn, name="d", base_dataset="large", columns=["id", "text"], column_redactions={})
    answer = tarn.query("SELECT count(*) FROM d")
    assert answer.status_code == 507 and "view.cache" in answer.text
