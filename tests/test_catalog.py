"""The catalog over HTTP: datasets listed, shown, renamed, dropped; which names are lawful; the journal."""

import os
import threading

import pytest
import requests
from conftest import Server

PATH = "/catalog/datasets/by-name/"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A server with 25 datasets, d00 to d24."""
    server = Server(tmp_path_factory.mktemp("many") / "data")
    for i in range(25):
        server.ingest(f"d{i:02d}", f"a\n{i}\n")
    yield server
    server.stop()


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()["detail"]


def names(server, **params):
    body = server.get("/catalog/datasets", params=params).json()
    return [d["name"] for d in body["datasets"]], body["next"]


def pages(server, path, member, **params):
    found, sizes = [], []
    while True:
        body = server.get(path, params=params).json()
        found += body[member]
        sizes.append(len(body[member]))
        if body["next"] is None:
            return found, sizes
        params["cursor"] = body["next"]


def rename(server, name, to, **params):
    return server.post(f"{PATH}{name}/rename", json={"to": to}, params=params)


# Lists

@pytest.mark.parametrize("limit,sizes", [(10, [10, 10, 5]), (25, [25]), (24, [24, 1]), (5, [5] * 5), (1000, [25])])
def test_pages_hold_every_dataset_once_in_order(many, limit, sizes):
    found, got = pages(many, "/catalog/datasets", "datasets", limit=limit)
    assert [d["name"] for d in found] == [f"d{i:02d}" for i in range(25)] and got == sizes


def test_a_list_says_what_a_dataset_is(many):
    [first] = many.get("/catalog/datasets?limit=1").json()["datasets"]
    assert first.pop("bytes") > 0 and len(first.pop("fingerprint")) == 64 and first.pop("snapshot") > 0
    assert first.pop("created_at") == first.pop("updated_at")
    assert first == {"name": "d00", "bucket": "primary", "rows": 1, "files": 1}


def test_a_cursor_holds_when_its_dataset_goes_and_others_come(many):
    found, cursor = names(many, limit=3)
    assert found == ["d00", "d01", "d02"]
    many.delete(PATH + "d02")
    many.ingest("d01x", "a\n1\n")
    many.ingest("d02x", "a\n1\n")
    try:
        assert names(many, limit=3, cursor=cursor)[0] == ["d02x", "d03", "d04"]
    finally:
        many.delete(PATH + "d01x")
        many.delete(PATH + "d02x")
        many.ingest("d02", "a\n2\n")


def test_a_cursor_may_be_any_text(many):
    assert names(many, cursor="zzz") == ([], None)
    assert names(many, cursor="d23") == (["d24"], None)
    assert names(many, cursor="d2'; DROP", limit=1)[0] == ["d20"]
    assert names(many, cursor="", limit=2)[0] == ["d00", "d01"]


def test_an_empty_catalog_is_an_empty_list(serve):
    assert serve().get("/catalog/datasets").json() == {"datasets": [], "next": None}


def test_names_are_ordered_by_their_bytes(serve):
    t = serve()
    wanted = ["A", "B-1", "_x", "a", "b", "b-1", "b1", "b_1", "é", "日本"]
    for name in ("é", "b1", "_x", "a", "日本", "B-1", "b_1", "b"):
        t.ingest(name, "x\n1\n")
    assert names(t)[0] == [n for n in wanted if n not in ("A", "b-1")]


# One dataset

def test_a_dataset_shows_schema_objects_and_snapshots(t):
    done = [t.ingest("visits", "city,n\nDenver,1\nBoise,2\n"),
            t.ingest("visits", "city,n\nTaos,3\n", mode="append"),
            t.ingest("visits", "city,n,when\nReno,4,2026-01-02\n", mode="append", evolve="true")]
    d = t.get(PATH + "visits").json()
    assert d["schema"]["fields"] == [
        {"id": 1, "name": "city", "type": "string", "required": True},
        {"id": 2, "name": "n", "type": "long", "required": True},
        {"id": 3, "name": "when", "type": "date", "required": False}]
    assert d["schema"]["fields"] == done[2]["schema"] and d["fingerprint"] == done[2]["fingerprint"]
    assert done[0]["fingerprint"] == done[1]["fingerprint"] != done[2]["fingerprint"]
    assert (d["rows"], d["files"], d["bucket"], d["snapshot"]) == (4, 3, "primary", done[2]["snapshot"])
    assert sorted(o["rows"] for o in d["objects"]) == [1, 1, 2] and sum(o["bytes"] for o in d["objects"]) == d["bytes"]
    for o in d["objects"]:
        assert o["bucket"] == "primary"
        assert os.path.getsize(f"{t.data}/primary/{o['path']}") == o["bytes"]
    assert [s["id"] for s in d["snapshots"]] == [x["snapshot"] for x in reversed(done)]
    assert [(s["sequence_number"], s["operation"], s["rows"], s["added_rows"]) for s in d["snapshots"]] == [
        (3, "append", 4, 1), (2, "append", 3, 1), (1, "append", 2, 2)]
    times = [s["timestamp"] for s in d["snapshots"]]
    assert times == sorted(times, reverse=True) and d["updated_at"] > d["created_at"]
    assert d["location"].startswith("file:///") and d["metadata_location"].startswith(d["location"] + "/metadata/")
    assert os.path.exists(d["metadata_location"][len("file://"):])


def test_the_same_columns_have_the_same_fingerprint(t):
    prints = [t.ingest(name, text)["fingerprint"] for name, text in [
        ("fp1", "a,b\n1,x\n"), ("fp2", "a,b\n2,y\n3,z\n"), ("fp3", "a,c\n1,x\n"), ("fp4", "b,a\nx,1\n"), ("fp5", "a,b\n1.5,x\n")]]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_a_dataset_has_an_etag_that_changes_with_it(t):
    t.ingest("tagged", "a\n1\n")
    tag = t.get(PATH + "tagged").headers["ETag"]
    same = t.get(PATH + "tagged", headers={"If-None-Match": tag})
    assert same.status_code == 304 and same.content == b"" and same.headers["ETag"] == tag
    t.ingest("tagged", "a\n2\n", mode="append")
    other = t.get(PATH + "tagged", headers={"If-None-Match": tag})
    assert other.status_code == 200 and other.headers["ETag"] != tag


def test_an_unknown_dataset_is_404_and_the_nearest_is_named(t):
    t.ingest("candidates", "a\n1\n")
    for answer in (t.get(PATH + "candidats"), t.delete(PATH + "candidats"), rename(t, "candidats", "x")):
        assert 'did you mean "candidates"?' in refused(answer, 404, "not_found")
    assert "did you mean" not in refused(t.get(PATH + "xyzzy_plugh"), 404, "not_found")


# Dropping and renaming

def test_a_dropped_dataset_is_gone_and_its_name_free(t):
    before = t.ingest("shortlived", "a\n1\n")
    old = t.get(PATH + "shortlived").json()
    done = t.delete(PATH + "shortlived", params={"reason": "no longer needed"}).json()
    assert done["dataset"] == "shortlived" and done["dropped"] is True
    refused(t.get(PATH + "shortlived"), 404, "not_found")
    refused(t.delete(PATH + "shortlived"), 404, "not_found")
    assert t.query("SELECT * FROM shortlived").status_code in (404, 422)
    assert t.query("SELECT * FROM shortlived AT (VERSION => 1)").status_code in (404, 422)
    assert "shortlived" not in names(t, limit=1000)[0]
    again = t.ingest("shortlived", "b\nx\n")
    new = t.get(PATH + "shortlived").json()
    assert new["id"] != old["id"] and new["location"] != old["location"] and again["snapshot"] != before["snapshot"]
    assert [s["sequence_number"] for s in new["snapshots"]] == [1]
    assert t.sql("SELECT * FROM shortlived") == [{"b": "x"}]


def test_a_renamed_dataset_keeps_its_rows_history_and_files(t):
    t.ingest("old_name", "a\n1\n")
    t.ingest("old_name", "a\n2\n", mode="append")
    before = t.get(PATH + "old_name").json()
    done = rename(t, "old_name", "new_name").json()
    assert done["dataset"] == "new_name" and done["was"] == "old_name"
    after = t.get(PATH + "new_name").json()
    assert {**after, "name": 0, "updated_at": 0} == {**before, "name": 0, "updated_at": 0}
    refused(t.get(PATH + "old_name"), 404, "not_found")
    assert t.value("SELECT sum(a) FROM new_name") == 3 and t.value("SELECT sum(a) FROM new_name AT (VERSION => 1)") == 1
    t.ingest("old_name", "z\n1\n")
    t.ingest("new_name", "a\n3\n", mode="append")
    assert t.value("SELECT sum(a) FROM new_name") == 6 and t.sql("SELECT * FROM old_name") == [{"z": 1}]


def test_a_rename_takes_nobodys_name(t):
    t.ingest("ours", "a\n1\n")
    t.ingest("Theirs", "a\n2\n")
    for to in ("Theirs", "theirs", "THEIRS"):
        refused(rename(t, "ours", to), 409, "already_exists")
    assert t.value("SELECT a FROM ours") == 1 and t.value("SELECT a FROM Theirs") == 2
    assert rename(t, "ours", "ours").status_code == 200
    assert rename(t, "ours", "Ours").json()["dataset"] == "Ours"
    assert "Ours" in names(t, limit=1000)[0] and "ours" not in names(t, limit=1000)[0]


@pytest.mark.parametrize("body", [{}, {"to": ""}, {"to": 7}, {"to": None}, {"to": "x", "from": "y"}, {"to": "a b"},
                                  {"to": "__raw__x"}, {"to": "system"}, {"to": "x\u0000y"}])
def test_a_rename_to_nothing_lawful_is_refused(t, body):
    t.ingest("steady", "a\n1\n", mode="replace")
    refused(t.post(PATH + "steady/rename", json=body), 400, "invalid_argument")
    assert t.value("SELECT a FROM steady") == 1


def test_of_renames_at_once_one_wins(t):
    t.ingest("wanted", "a\n1\n")
    answers = []

    def go(i):
        answers.append(requests.post(f"{t.url}{PATH}wanted/rename", json={"to": f"winner{i}"}, timeout=60,
                                     headers={"Authorization": f"Bearer {t.token}"}).status_code)
    threads = [threading.Thread(target=go, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers)[0] == 200 and answers.count(200) == 1 and set(answers) <= {200, 404, 409}
    assert sum(n.startswith("winner") for n in names(t, limit=1000)[0]) == 1


# Names

@pytest.mark.parametrize("name", ["a", "_", "A1", "a-b_c", "select", "table", "naïve", "日本語", "ÅÄÖ", "données2", "x" * 128,
                                  "é" * 64, "smile😀", "information_schema", "tmp"])
def test_a_lawful_name_can_be_used_everywhere(t, name):
    assert t.ingest(name, "n\n7\n")["dataset"] == name
    assert t.value(f'SELECT n FROM "{name}"') == 7
    assert t.get(PATH + name).json()["name"] == name
    assert t.delete(PATH + name).json()["dataset"] == name


@pytest.mark.parametrize("name", [
    "", " ", "1a", "-a", "a b", " a", "a ", "a.b", "main.x", "a/b", "../a", "a\\b", 'a"b', "a'b", "a;b", "a,b", "a(b)", "a*",
    "a\nb", "a\x00b", "a\x7fb", "x" * 129, "é" * 65, "main", "MAIN", "system", "System", "system_x", "SYSTEM.journal",
    "__raw__", "__raw__visits", "__RAW__visits", "a\u00a0b", "a\u200bb", "\u202eab", "a\u0085b", "\ufeffa", "a\u3000b",
    "a\u2028b", "a\u00adb", "a\U000e0041b",
])
def test_an_unlawful_name_is_refused(t, name):
    before = names(t, limit=1000)
    refused(t.upload(name, "a\n1\n"), 400, "invalid_argument")
    assert names(t, limit=1000) == before


def test_a_name_that_is_no_utf8_is_refused(t):
    answer = t.post("/ingest/file?dataset=a%ffb", data=b"a\n1\n", headers={"Content-Type": "application/octet-stream"})
    refused(answer, 400, "invalid_argument")


def test_names_that_differ_only_in_case_are_one(t):
    t.ingest("Mixed_Case", "a\n1\n")
    for name in ("mixed_case", "MIXED_CASE", "Mixed_case"):
        refused(t.upload(name, "a\n2\n"), 409, "already_exists")
        assert t.get(PATH + name).json()["name"] == "Mixed_Case"
        assert t.value(f"SELECT a FROM {name}") == 1 and t.value(f'SELECT a FROM "{name}"') == 1
    t.ingest("MIXED_case", "a\n5\n", mode="append")
    assert t.value("SELECT sum(a) FROM mixed_case") == 6
    t.ingest("mixed_CASE", "a\n7\n", mode="replace")
    assert [n for n in names(t, limit=1000)[0] if n.lower() == "mixed_case"] == ["Mixed_Case"]
    assert t.delete(PATH + "mixed_case").status_code == 200
    refused(t.get(PATH + "Mixed_Case"), 404, "not_found")


def test_of_creates_at_once_in_different_case_one_wins(t):
    answers = []

    def go(name):
        answers.append(requests.post(f"{t.url}/ingest/file?dataset={name}", data=f"a\n{len(name)}{ord(name[0])}\n", timeout=60,
                                     headers={"Authorization": f"Bearer {t.token}", "Content-Type": "text/csv"}).status_code)
    for i in range(5):
        answers.clear()
        threads = [threading.Thread(target=go, args=(n,)) for n in (f"race{i}", f"Race{i}", f"RACE{i}")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        found = [n for n in names(t, limit=1000)[0] if n.lower() == f"race{i}"]
        assert len(found) == 1 and answers.count(201) == 1, (found, answers)


# The journal

def test_the_journal_tells_who_did_what_to_what_and_why(t):
    t.ingest("told", "a\n1\n", reason="monthly load")
    t.ingest("told", "a\n2\n", mode="append")
    rename(t, "told", "retold", reason="typo")
    t.delete(PATH + "retold", params={"reason": "über\t\"quoted\" \\ 😀"})
    entries = t.told(outcome="done")[:4]
    assert [(e["action"], e["target"], e["reason"]) for e in entries] == [
        ("dataset.drop", "dataset:retold", "über\t\"quoted\" \\ 😀"), ("dataset.rename", "dataset:retold", "typo"),
        ("dataset.append", "dataset:told", ""), ("dataset.create", "dataset:told", "monthly load")]
    assert {e["actor"] for e in entries} == {"admin"}
    seqs = [e["seq"] for e in entries]
    assert seqs == sorted(set(seqs), reverse=True) and len(seqs) == 4 and len({e["id"] for e in entries}) == 4
    assert all(e["time"].endswith("Z") for e in entries)


def test_what_was_refused_is_not_done_in_the_journal(t):
    def newest():
        return t.told(outcome="done")[0]["seq"]
    t.ingest("calm", "a\n1\n")
    before = newest()
    t.upload("calm", "a\n2\n")
    t.upload("calm", "b\nx\n", mode="append")
    t.delete(PATH + "not_there")
    rename(t, "calm", "calm")
    t.ingest("calm", "a\n1\n")  # the same file again
    t.query("SELECT * FROM calm")
    assert newest() == before


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_of_the_journal_hold_every_record_once(many, limit):
    found, _ = pages(many, "/journal", "entries", limit=limit)
    seqs = [e["seq"] for e in found]
    assert seqs == sorted(seqs, reverse=True) and sorted(set(seqs)) == list(range(1, seqs[0] + 1))
    assert found[-1]["action"] == "token.create" and found[-1]["actor"] == "server"


@pytest.mark.parametrize("query", ["cursor=0", "cursor=x", "cursor=-1", "limit=0", "limit=1001"])
def test_a_wrong_page_of_the_journal_is_refused(t, query):
    refused(t.get(f"/journal?{query}"), 400, "invalid_argument")


def test_a_cursor_past_the_end_of_the_journal_is_no_damage(t):
    answer = t.get("/journal?cursor=999999999&limit=1")
    assert answer.status_code in (200, 400), answer.text
    assert t.get("/ready").status_code == 200


@pytest.mark.parametrize("reason", ["é" * 513, "x" + "é" * 512, "x" * 4000])
def test_a_reason_is_kept_whole_or_refused(t, reason):
    t.ingest("reasoned", "a\n1\n", mode="replace", reason=reason.encode()[:1024].decode(errors="ignore"))
    for answer in (t.upload("reasoned", "a\n2\n", mode="append", reason=reason), rename(t, "reasoned", "x", reason=reason),
                   t.delete(PATH + "reasoned", params={"reason": reason}),
                   t.post("/ingest/delta", json={"dataset": "reasoned", "mode": "append", "rows": [{"a": 2}], "reason": reason})):
        refused(answer, 400, "invalid_argument")
    assert t.value("SELECT count(*) FROM reasoned") == 1
    assert reason.startswith(t.told(outcome="done", action="dataset.*")[0]["reason"])
    t.delete(PATH + "reasoned", params={"reason": "é" * 512})
    assert t.told(outcome="done", action="dataset.*")[0]["reason"] == "é" * 512


def test_the_journal_outlives_the_server(serve):
    t = serve()
    t.ingest("kept", "a\n1\n", reason="first")
    t.stop()
    t = serve()
    entries = t.get("/journal").json()["entries"]
    assert [e["reason"] for e in entries if e["action"] != "token.used"] == ["first", "first start"]
