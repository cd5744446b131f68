"""Columns that change: POST …/columns and ALTER TABLE, read back here, by older versions and by another reader."""


import pytest


def change(t, name, *changes, **members):
    return t.post(f"/catalog/datasets/by-name/{name}/columns", json={"changes": list(changes), **members})


def changed(t, name, *changes, **members):
    answer = change(t, name, *changes, **members)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fields(t, name):
    return [(f["id"], f["name"], f["type"]) for f in t.get(f"/catalog/datasets/by-name/{name}").json()["schema"]["fields"]]


def rows(t, sql):
    return [tuple(r) for r in t.sql(sql, format="arrays")]


def test_several_changes_are_one_commit(t):
    t.ingest("several", "id,city,n\n1,Denver,5\n2,Boise,6\n")
    before = {e["id"] for e in t.told(outcome="done")}
    done = changed(t, "several", {"op": "add", "name": "note", "type": "VARCHAR"}, {"op": "rename", "name": "city", "to": "town"},
                   {"op": "drop", "name": "n"}, {"op": "nullable", "name": "id"}, reason="the new form")
    assert not done["unchanged"] and [f["name"] for f in done["schema"]["fields"]] == ["id", "town", "note"]
    assert not done["schema"]["fields"][0]["required"]
    [entry] = [e for e in t.told(outcome="done") if e["id"] not in before]
    assert (entry["action"], entry["reason"]) == ("dataset.columns", "the new form")
    assert rows(t, "FROM several ORDER BY id") == [(1, "Denver", None), (2, "Boise", None)]
    assert changed(t, "several", {"op": "nullable", "name": "id"})["unchanged"]


@pytest.mark.parametrize("changes, status, says", [
    ([], 400, "1 to"),
    (["x"], 400, "object"),
    ([{"op": "nix", "name": "id"}], 400, "op must be"),
    ([{"op": "add", "name": "x"}], 400, "type"),
    ([{"op": "add", "name": "x", "type": "INT", "required": True}], 400, "required"),
    ([{"op": "drop", "name": "id", "to": "x"}], 400, "to"),
    ([{"op": "rename", "name": "id"}], 400, "to"),
    ([{"op": "add", "name": "x", "type": "INT)"}], 400, "no type"),
    ([{"op": "add", "name": "", "type": "INT"}], 400, "name"),
    ([{"op": "add", "name": "ID", "type": "INT"}], 409, "already"),
    ([{"op": "rename", "name": "id", "to": "CITY"}], 409, "already"),
    ([{"op": "drop", "name": "nix"}], 404, "nix"),
    ([{"op": "widen", "name": "city", "type": "BIGINT"}], 400, "cannot become"),
    ([{"op": "widen", "name": "id", "type": "INTEGER"}], 400, "cannot become"),
    ([{"op": "drop", "name": "id"}, {"op": "drop", "name": "city"}], 400, "last column"),
    ([{"op": "add", "name": "x", "type": "INT"}, {"op": "drop", "name": "nix"}], 404, "nix"),
])
def test_what_cannot_be_changes_nothing(t, changes, status, says):
    if t.get("/catalog/datasets/by-name/refusing").status_code == 404:
        t.ingest("refusing", "id,city\n5000000000,Denver\n")
    before = fields(t, "refusing")
    answer = change(t, "refusing", *changes)
    assert answer.status_code == status and says in answer.json()["detail"], answer.text
    assert fields(t, "refusing") == before


def test_other_writes_go_on_after_a_change(t):
    t.ingest("goeson", "id,city\n1,Denver\n2,Boise\n")
    changed(t, "goeson", {"op": "rename", "name": "city", "to": "town"}, {"op": "add", "name": "n", "type": "BIGINT"},
            {"op": "nullable", "name": "n"})
    t.ingest("goeson", "id,town,n\n3,Taos,7\n", mode="append")
    answer = t.post("/ingest/delta", json={"dataset": "goeson", "mode": "upsert", "key": "id", "rows": [{"id": 1, "town": "Reno", "n": 8}]})
    assert answer.status_code == 200, answer.text
    t.sql("UPDATE goeson SET n = id WHERE n IS NULL")
    assert rows(t, "FROM goeson ORDER BY id") == [(1, "Reno", 8), (2, "Boise", 2), (3, "Taos", 7)]
    assert rows(t, "FROM goeson AT (VERSION => 1) ORDER BY id") == [(1, "Denver"), (2, "Boise")]
    assert change(t, "nowhere", {"op": "drop", "name": "x"}).status_code == 404


def test_ids_are_never_given_again(t):
    t.ingest("ids", "a,b,c\n1,2,3\n")
    seen = {f[0] for f in fields(t, "ids")}
    for _ in range(3):
        changed(t, "ids", {"op": "drop", "name": "b"})
        changed(t, "ids", {"op": "add", "name": "b", "type": "INT"})
        new = next(f[0] for f in fields(t, "ids") if f[1] == "b")
        assert new not in seen
        seen.add(new)
    assert rows(t, "SELECT a, c, b FROM ids") == [(1, 3, None)]


def test_changed_tables_are_what_another_reader_sees(t, reader):
    t.sql("CREATE TABLE seen AS SELECT i::INTEGER AS id, 'n' || i AS name, (i + 0.5)::FLOAT AS f, i * 2 AS gone FROM range(4) r(i)")
    t.sql("ALTER TABLE seen ALTER id TYPE BIGINT, ALTER f TYPE DOUBLE, RENAME name TO label, DROP gone, ADD note VARCHAR")
    t.sql("INSERT INTO seen VALUES (5000000000, 'new', 0.25, 'hi')")
    t.sql("UPDATE seen SET note = label WHERE id = 2")
    t.sql("DELETE FROM seen WHERE id = 1")
    ours = rows(t, "SELECT id, label, f, note FROM seen ORDER BY id")
    assert ours == [(0, "n0", 0.5, None), (2, "n2", 2.5, "n2"), (3, "n3", 3.5, None), (5000000000, "new", 0.25, "hi")]
    shown = t.get("/catalog/datasets/by-name/seen").json()
    table = reader.table(shown["metadata_location"])
    places = [table["columns"].index(name) for name in ("id", "label", "f", "note")]
    theirs = sorted(tuple(row[i] for i in places) for row in table["rows"])
    assert theirs == ours


def test_a_restart_changes_nothing(serve, tmp_path):
    server = serve(data=tmp_path / "d")
    server.ingest("kept", "id,city\n1,Denver\n")
    changed(server, "kept", {"op": "rename", "name": "city", "to": "town"}, {"op": "add", "name": "x", "type": "DATE"})
    before = fields(server, "kept")
    server.stop()
    server = serve(data=tmp_path / "d")
    assert fields(server, "kept") == before and rows(server, "FROM kept") == [(1, "Denver", None)]
