"""Suppression lists from outside: rows of an erased subject stay out, whichever way they come."""

import json

import pytest

from conftest import command

DATASET = "/catalog/datasets/by-name/"
WHO = "CAND-000007"
ROWS = [{"id": f"CAND-{i:06}", "n": i} for i in range(10)]


def csv(rows):
    return "id,n\n" + "".join(f"{r['id']},{r['n']}\n" for r in rows)


def ok(answer, *status):
    assert answer.status_code in (status or (200, 201)), f"{answer.status_code} {answer.text}"
    return answer.json()


def erase(t, name, key=WHO):
    ok(t.post(f"{DATASET}{name}/erase", json={"row_key_column": "id", "row_key_values": [key], "reason": "asked to be forgotten",
                                              "suppress": True}), 200, 201)


_number = [0]


@pytest.fixture
def name():
    """A dataset that no other test has."""
    _number[0] += 1
    return f"s{_number[0]}"


@pytest.fixture
def erased(t, name):
    """A dataset that somebody was erased from; the file that it was made of comes again."""
    t.ingest(name, csv(ROWS))
    erase(t, name)
    return name


def count(t, name, who=WHO):
    return t.value(f"SELECT count(*) FROM {name} WHERE id = '{who}'")


def lists(t, name):
    return [(s["column"], s["count"]) for s in ok(t.get("/catalog/suppressions"))["suppressions"] if s["name"] == name]


def last(t, action):
    [item] = ok(t.get("/journal", params={"action": action, "limit": 1}))["entries"]
    return item


@pytest.mark.parametrize("mode, params, rows", [
    ("append", {}, 9), ("replace", {}, 9), ("upsert", {"key": "id"}, 9)])
def test_a_file_keeps_out_who_was_erased(t, erased, mode, params, rows):
    answer = t.ingest(erased, csv(ROWS), mode=mode, **params)
    assert (answer["rows"], answer["rows_suppressed"]) == (rows, 1)
    assert count(t, erased) == 0 and answer["unchanged"] is False


def test_rows_as_json_keep_out_who_was_erased(t, erased):
    answer = ok(t.post("/ingest/delta", json={"dataset": erased, "mode": "append", "rows": ROWS[6:9]}))
    assert (answer["rows"], answer["inserted"], answer["rows_suppressed"]) == (3, 2, 1)
    answer = ok(t.post("/ingest/delta", json={"dataset": erased, "mode": "upsert", "key": "id", "rows": [ROWS[7]]}))
    assert (answer["rows"], answer["inserted"], answer["updated"], answer["rows_suppressed"]) == (1, 0, 0, 1)
    assert answer["snapshot"] is None and count(t, erased) == 0
    answer = ok(t.post("/ingest/delta", json={"dataset": erased, "mode": "delete", "key": "id", "rows": [{"id": WHO}]}))
    assert (answer["not_found"], answer["rows_suppressed"]) == (1, 0)


def test_sql_keeps_out_who_was_erased(t, erased):
    answer = ok(t.query(f"INSERT INTO {erased} VALUES ('{WHO}', 1), ('CAND-000100', 2)"))
    assert (answer["rows_affected"], answer["rows_suppressed"]) == (1, 1)
    answer = ok(t.query(f"UPDATE {erased} SET id = '{WHO}' WHERE id = 'CAND-000100'"))
    assert (answer["rows_affected"], answer["rows_suppressed"]) == (0, 1)
    answer = ok(t.query(f"CREATE OR REPLACE TABLE {erased} AS SELECT '{WHO}' AS id UNION ALL SELECT 'CAND-000101'"))
    assert (answer["rows_affected"], answer["rows_suppressed"]) == (1, 1)
    assert count(t, erased) == 0


def test_the_name_keeps_its_list(t, erased):
    ok(t.delete(DATASET + erased))
    assert t.ingest(erased.upper(), csv(ROWS))["rows_suppressed"] == 1
    ok(t.post(f"{DATASET}{erased.upper()}/rename", json={"to": erased + "_b"}))
    assert t.ingest(erased + "_b", csv(ROWS), mode="append")["rows_suppressed"] == 1
    ok(t.post(f"{DATASET}{erased}_b/columns", json={"changes": [{"op": "rename", "name": "id", "to": "person"}]}))
    renamed = [{"person": r["id"], "n": r["n"]} for r in ROWS]
    answer = ok(t.post("/ingest/delta", json={"dataset": erased + "_b", "mode": "append", "rows": renamed}))
    assert answer["rows_suppressed"] == 1
    assert t.value(f"SELECT count(*) FROM {erased}_b WHERE person = '{WHO}'") == 0


def test_a_file_that_was_there_already_is_known(t, erased):
    ok(t.delete(DATASET + erased))
    answer = t.ingest(erased, csv(ROWS))
    assert (answer["rows"], answer["rows_suppressed"], answer["unchanged"]) == (9, 1, False)
    answer = t.ingest(erased, csv(ROWS))
    assert (answer["rows"], answer["unchanged"]) == (0, True)
    ok(t.delete("/catalog/suppressions/" + erased))
    answer = t.upload(erased, csv(ROWS))
    assert answer.status_code == 409 and "kept out" in answer.json()["detail"]


def test_a_request_that_comes_twice_is_answered_the_same(t, erased):
    key = {"Idempotency-Key": erased}
    body = {"dataset": erased, "mode": "append", "rows": [ROWS[7]]}
    first = ok(t.post("/ingest/delta", json=body, headers=key))
    again = ok(t.post("/ingest/delta", json=body, headers=key))
    assert (first["rows_suppressed"], first["replayed"]) == (1, False)
    assert (again["rows_suppressed"], again["replayed"]) == (1, True)
    sql = f"INSERT INTO {erased} VALUES ('{WHO}', 1)"
    first = ok(t.query(sql, headers={"Idempotency-Key": erased + "-sql"}))
    again = ok(t.query(sql, headers={"Idempotency-Key": erased + "-sql"}))
    assert (first["rows_suppressed"], first["replayed"]) == (1, False)
    assert (again["rows_suppressed"], again["replayed"]) == (1, True)


def test_lists_are_shown_without_keys_and_removed_with_a_reason(t, erased):
    assert lists(t, erased) == [("id", 1)]
    erase(t, erased, "CAND-000008")
    assert lists(t, erased) == [("id", 2)]
    assert WHO not in t.get("/catalog/suppressions").text
    assert ok(t.delete("/catalog/suppressions/" + erased, params={"reason": "they are customers again"})) == \
        {"name": erased, "removed": 1}
    assert lists(t, erased) == []
    item = last(t, "suppression.remove")
    assert (item["target"], item["reason"]) == (f"suppression:{erased}", "they are customers again")
    assert t.delete("/catalog/suppressions/" + erased).status_code == 404
    assert t.ingest(erased, csv(ROWS), mode="append")["rows_suppressed"] == 0
    assert count(t, erased) == 1


def test_the_journal_tells_how_many(t, erased):
    t.ingest(erased, csv(ROWS), mode="append")
    item = last(t, "dataset.append")
    assert item["target"] == f"dataset:{erased}" and item["details"]["suppressed"] == 1
    assert WHO not in json.dumps(item)


def test_the_command_line_says_how_many_were_kept_out(t, erased, tmp_path):
    file = tmp_path / "old.csv"
    file.write_text(csv(ROWS))
    for words in (["ingest", str(file), "--dataset", erased, "--mode", "append"],
                  ["query", f"INSERT INTO {erased} VALUES ('{WHO}', 1)"]):
        done = command(*words, server=t)
        assert done.returncode == 0, done.stderr
        assert "1 row kept out by the suppression list" in done.stderr
