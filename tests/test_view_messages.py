"""What somebody who may read a view alone is told when its base, or what its filter asks, is damaged."""

import glob
import os
import shutil

import pytest
import requests

PEOPLE = "id,name\n1,Ann\n2,Bob\n3,Cid\n"
PARTS = ["metadata/*.json", "metadata/snap-*.avro", "metadata/*-m0.avro", "data/*.parquet"]


@pytest.fixture
def house(serve, tmp_path):
    """start(): a server that has nothing in its caches; the tokens of those who ask."""
    t = serve()
    for name in ("hushed", "whispered", "plain"):
        t.ingest(name, PEOPLE)
    assert t.post("/catalog/views", json={"name": "safe", "base_dataset": "hushed", "columns": ["id"],
                                          "row_filter": "id IN (SELECT id FROM whispered)"}).status_code == 201
    tokens = [t.let_in("agent", {"view:safe": ["read"]}), t.let_in("mixed", {"view:safe": ["read"], "dataset:plain": ["read_raw"]})]
    t.stop()

    def start():
        shutil.rmtree(tmp_path / "data" / "cache")
        return serve()
    return start, tokens


@pytest.mark.parametrize("dataset", ["hushed", "whispered"])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", [None, b"PAR1 and no more"])
def test_a_view_that_cannot_be_read_names_neither_dataset_nor_file(house, tmp_path, dataset, part, damage):
    start, tokens = house
    for path in glob.glob(f"{tmp_path}/data/primary/tables/{dataset}-*/{part}"):
        os.unlink(path)
        if damage is not None:
            with open(path, "wb") as f:
                f.write(damage)
    t = start()
    for token, sql in zip(tokens, ("SELECT * FROM safe", "SELECT * FROM safe, plain")):
        for statement in (sql, f"EXPLAIN {sql}", f"DESCRIBE {sql}"):
            answer = requests.post(t.url + "/query/sql", json={"sql": statement}, timeout=60,
                                   headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code >= 400
            told = answer.json()
            assert told["detail"].startswith('the view "safe" cannot be read now'), told
            for secret in ("hushed", "whispered", str(tmp_path), "metadata", "parquet"):
                assert secret not in answer.text
            assert told["code"] != "not_found"


def test_a_view_that_one_may_not_read_tells_nothing_when_it_is_damaged(serve, tmp_path):
    t = serve()
    t.ingest("people", PEOPLE)
    for name, row_filter in (("safe", None), ("unseen", "name <> 'Zaphod'")):
        assert t.post("/catalog/views", json={"name": name, "base_dataset": "people", "columns": ["id"],
                                              "row_filter": row_filter}).status_code == 201
    token = t.let_in("agent", {"view:safe": ["read"]})
    t.stop()
    for path in glob.glob(f"{tmp_path}/data/primary/_catalog/content/*"):
        with open(path, "r+b") as f:
            if b"Zaphod" in f.read():
                f.truncate(10)
    t = serve()
    asked = {"headers": {"Authorization": f"Bearer {token}"}, "timeout": 60}
    assert [v["name"] for v in requests.get(t.url + "/catalog/views", **asked).json()["views"]] == ["safe"]
    assert requests.post(t.url + "/query/sql", json={"sql": "SHOW TABLES"}, **asked).json()["rows"] == [{"name": "safe"}]
    assert t.get("/catalog/views").status_code == 500  # for an admin it is there
