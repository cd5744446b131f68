"""POST /ingest/delta: rows that come, take the place of others, or go."""

import random
import threading

import pytest


def delta(t, dataset, mode, rows, key="id", headers=None, **members):
    return t.post("/ingest/delta", headers=headers,
                  json={"dataset": dataset, "mode": mode, "key": key, "rows": rows, **members})


def done(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def pairs(t, dataset):
    return [tuple(r) for r in t.sql(f"SELECT id, v FROM {dataset} ORDER BY id", format="arrays", rows_max=100000)]


def test_rows_are_upserted_and_deleted_by_key(t):
    t.ingest("basic", "id,v\n1,10\n2,20\n3,30\n")
    answer = done(delta(t, "basic", "upsert", [{"id": 2, "v": 21}, {"id": 4, "v": 40}]))
    assert (answer["rows"], answer["inserted"], answer["updated"]) == (2, 1, 1)
    assert pairs(t, "basic") == [(1, 10), (2, 21), (3, 30), (4, 40)]
    answer = done(delta(t, "basic", "delete", [{"id": 1}, {"id": 77}]))
    assert (answer["deleted"], answer["not_found"]) == (1, 1)
    answer = done(delta(t, "basic", "append", [{"id": 9, "v": 90}]))
    assert pairs(t, "basic") == [(2, 21), (3, 30), (4, 40), (9, 90)]
    assert t.value("SELECT count(*) FROM basic AT (VERSION => 1)") == 3
    assert done(delta(t, "basic", "delete", [{"id": 77}]))["snapshot"] is None


def test_bodies_may_be_csv_and_lines(t):
    t.ingest("bodies", "id,v\n1,10\n2,20\n")
    answer = t.post("/ingest/delta", params={"dataset": "bodies", "mode": "upsert", "key": "id"},
                    data="id,v\n2,22\n5,55\n", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["changed"] == {"rows": 2, "matched": 1}
    answer = t.post("/ingest/delta", params={"dataset": "bodies", "mode": "delete", "key": "id"},
                    data='{"id":1}\n{"id":2}\n', headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["changed"] == {"rows": 2, "matched": 2}, answer.text
    assert pairs(t, "bodies") == [(5, 55)]


@pytest.mark.parametrize("mode,rows,code,says", [
    ("upsert", [{"id": None, "v": 1}], 422, "row 1"),
    ("upsert", [{"v": 1}], 422, "row 1"),
    ("upsert", [{"id": 1, "v": 1}, {"id": 2, "v": 1}, {"id": 1, "v": 3}], 422, "rows 1 and 3"),
    ("upsert", [{"id": 1.5, "v": 1}], 422, "\"id\""),
    ("upsert", [{"id": 1, "v": "twelve"}], 422, "\"v\""),
    ("upsert", [{"id": 1, "v": True}], 422, "\"v\""),
    ("upsert", [{"id": 1, "w": 1}], 409, "\"w\""),
    ("upsert", [{"id": 1, "v": 1, "ID": 2}], 422, "twice"),
    ("upsert", [5], 422, "row 1"),
    ("insert", [{"id": 1}], 400, "mode"),
])
def test_bad_rows_are_named_and_change_nothing(t, mode, rows, code, says):
    if not t.get("/catalog/datasets/by-name/strict").ok:
        t.ingest("strict", "id,v\n1,10\n2,20\n")
    answer = delta(t, "strict", mode, rows)
    assert answer.status_code == code, answer.text
    assert says in answer.json()["detail"]
    assert "/spool/" not in answer.text
    assert pairs(t, "strict") == [(1, 10), (2, 20)]


def test_what_is_not_there_is_said(t):
    assert delta(t, "nowhere", "upsert", [{"id": 1}]).status_code == 404
    t.ingest("keyless", "id,v\n1,10\n")
    answer = delta(t, "keyless", "upsert", [{"id": 1, "v": 1}], key="k")
    assert answer.status_code == 400 and "\"k\"" in answer.json()["detail"]
    answer = t.post("/ingest/delta", json={"dataset": "keyless", "mode": "upsert", "rows": []})
    assert answer.status_code == 400 and "key" in answer.json()["detail"]


def test_the_last_of_one_key_may_count(t):
    t.ingest("last", "id,v\n1,10\n")
    rows = [{"id": 1, "v": 11}, {"id": 1, "v": 12}]
    done(delta(t, "last", "upsert", rows, on_duplicate="last"))
    assert pairs(t, "last") == [(1, 12)]


def test_keys_may_be_of_several_columns(t):
    t.ingest("pairs", "a,b,v\nx,1,1\nx,2,2\ny,1,3\n")
    done(delta(t, "pairs", "upsert", [{"a": "x", "b": 2, "v": 20}, {"a": "z", "b": 1, "v": 9}], key=["a", "b"]))
    assert t.sql("SELECT a, b, v FROM pairs ORDER BY a, b", format="arrays") == [
        ["x", 1, 1], ["x", 2, 20], ["y", 1, 3], ["z", 1, 9]]


def test_rows_may_bring_columns_when_asked(t):
    t.ingest("grows", "id,v\n1,10\n")
    done(delta(t, "grows", "upsert", [{"id": 1, "v": 11, "note": "new"}], evolve=True))
    assert t.sql("SELECT * FROM grows") == [{"id": 1, "v": 11, "note": "new"}]


def test_all_types_survive(t):
    t.ingest("types", '{"id":1,"big":9007199254740993,"f":1.5,"t":"2024-02-29T12:00:00","d":"1969-12-31","s":"\U0001F600","l":[1,2],"o":{"x":"a"}}\n',
             format="ndjson")
    row = {"id": 2, "big": 9007199254740995, "f": 0.1, "t": "2025-01-01 00:00:00", "d": "2000-01-01",
           "s": "\u00fc\n", "l": [], "o": {"x": None}}
    done(delta(t, "types", "upsert", [row]))
    [got] = t.sql("SELECT * FROM types WHERE id = 2")
    assert got["big"] == row["big"] and got["f"] == 0.1 and got["s"] == row["s"] and got["l"] == []
    assert got["d"].startswith("2000-01-01") and got["o"] == {"x": None}


def test_a_request_may_be_sent_twice(t):
    t.ingest("twice", "id,v\n1,10\n")
    headers = {"Idempotency-Key": "order-17"}
    first = done(delta(t, "twice", "append", [{"id": 2, "v": 20}], headers=headers))
    again = done(delta(t, "twice", "append", [{"id": 2, "v": 20}], headers=headers))
    assert not first["replayed"] and again["replayed"]
    assert again["snapshot"] == first["snapshot"]
    assert pairs(t, "twice") == [(1, 10), (2, 20)]
    other = delta(t, "twice", "append", [{"id": 3, "v": 30}], headers=headers)
    assert other.status_code == 409 and "Idempotency-Key" in other.json()["detail"]


@pytest.mark.parametrize("mode,body", [("append", "id,v\n2,20\n"), ("upsert", "id,v\n1,11\n2,20\n"), ("delete", "id\n1\n")])
def test_a_file_may_be_sent_twice_under_a_key(t, mode, body):
    name = f"file_{mode}"
    t.ingest(name, "id,v\n1,10\n")
    params = {"dataset": name, "mode": mode, **({} if mode == "append" else {"key": "id"})}
    headers = {"Content-Type": "text/csv", "Idempotency-Key": f"file {mode}"}
    first, again = (done(t.post("/ingest/delta", params=params, data=body, headers=headers)) for _ in range(2))
    assert not first["replayed"] and again["replayed"]
    assert first.get("changed") == again.get("changed") and first["rows"] == again["rows"]
    assert pairs(t, name) == {"append": [(1, 10), (2, 20)], "upsert": [(1, 11), (2, 20)], "delete": []}[mode]
    other = t.post("/ingest/delta", params=params, data=body + "9" + ",9" * (mode != "delete") + "\n", headers=headers)
    assert other.status_code == 409
    answer = t.upload(name, "id,v\n5,5\n", mode="replace", headers={"Idempotency-Key": "r"})
    assert answer.status_code == 400 and "Idempotency-Key" in answer.json()["detail"]


def test_an_idempotency_key_outlives_the_server(serve):
    t = serve()
    t.ingest("twice", "id,v\n1,10\n")
    headers = {"Idempotency-Key": "k"}
    done(delta(t, "twice", "append", [{"id": 2, "v": 20}], headers=headers))
    t.stop()
    t = serve(data=t.data)
    assert done(delta(t, "twice", "append", [{"id": 2, "v": 20}], headers=headers))["replayed"]
    assert t.value("SELECT count(*) FROM twice") == 2


def test_twenty_upserters_lose_and_double_nothing(t):
    t.ingest("many", "id,v\n" + "".join(f"{i},0\n" for i in range(100)))
    failures = []

    def work(n):
        rng = random.Random(n)
        for i in range(10):
            ids = rng.sample(range(n * 10, n * 10 + 10), 3)
            answer = delta(t, "many", "upsert", [{"id": k, "v": i + 1} for k in ids] + [{"id": 1000 + n, "v": i}])
            if answer.status_code != 200:
                failures.append(answer.text)
            for k in ids:
                last[k] = i + 1
            last[1000 + n] = i

    last = {i: 0 for i in range(100)}
    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert dict(pairs(t, "many")) == last
    assert t.value("SELECT count(*) - count(DISTINCT id) FROM many") == 0


def test_one_with_bad_rows_does_not_spoil_the_others(t):
    t.ingest("mixed", "id,v\n1,1\n")
    codes = {}

    def work(n):
        rows = [{"id": n, "v": n}] if n % 4 else [{"id": n, "v": 1}, {"id": n, "v": 2}]
        codes[n] = delta(t, "mixed", "upsert", rows).status_code

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10, 34)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: c for n, c in codes.items() if c != 200} == {n: 422 for n in range(12, 34, 4)}
    assert [i for i, _ in pairs(t, "mixed")] == [1] + [n for n in range(10, 34) if n % 4]


def test_random_deltas_agree_with_a_model(serve):
    t = serve()
    t.ingest("model", "id,v\n0,0\n")
    rng = random.Random(7)
    model = {0: 0}
    history = []
    for step in range(60):
        ids = rng.sample(range(40), rng.randint(1, 8))
        if rng.random() < 0.3:
            done(delta(t, "model", "delete", [{"id": i} for i in ids]))
            for i in ids:
                model.pop(i, None)
        else:
            done(delta(t, "model", "upsert", [{"id": i, "v": step * 100 + i} for i in ids]))
            model.update({i: step * 100 + i for i in ids})
        if step % 20 == 19:
            t.stop()
            t = serve(data=t.data)
        assert dict(pairs(t, "model")) == model
        lo = rng.randint(0, 40)
        assert t.value(f"SELECT count(*) FROM model WHERE id >= {lo}") == sum(i >= lo for i in model)
        version = t.get("/catalog/datasets/by-name/model").json()["snapshot"]
        history.append((version, dict(model)))
    for version, was in rng.sample(history, 10):
        assert dict(pairs(t, f"model AT (VERSION => {version})")) == was


def test_the_command_line_upserts(t, tmp_path):
    import os
    import subprocess
    t.ingest("cli", "id,v\n1,10\n2,20\n")
    (tmp_path / "c.csv").write_text("id,v\n2,22\n3,33\n")
    done = subprocess.run([os.environ.get("TARN_BIN", "tarn"), "ingest", "--dataset", "cli", "--mode", "upsert",
                           "--key", "id", str(tmp_path / "c.csv")], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "TARN_URL": t.url, "TARN_TOKEN": t.token})
    assert done.returncode == 0, done.stderr
    assert "2 rows sent, 1 of their keys were there" in done.stdout
    assert pairs(t, "cli") == [(1, 10), (2, 22), (3, 33)]


def test_names_that_the_server_uses_itself_are_no_columns(t):
    for name in ("tarn_order", "Tarn_Batch", "tarn_shown"):
        answer = t.upload("taken", f"id,{name}\n1,1\n")
        assert answer.status_code == 422 and "rename it" in answer.json()["detail"]
    t.ingest("rowed", "tarn_row,v\n1,1\n2,2\n")
    assert delta(t, "rowed", "delete", [{"tarn_row": 1}], key="tarn_row").status_code == 400
    done(delta(t, "rowed", "delete", [{"v": 1}], key="v"))
    assert t.sql("SELECT * FROM rowed", format="arrays") == [[2, 2]]
