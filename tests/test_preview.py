"""Previews: what a role or a principal would get, beside what is there."""

import subprocess

import pytest
import requests
from conftest import TARN, Server, wait_until

PEOPLE = "id,name,email,status\n1,Ann,ann@example.org,ok\n2,Bob,bob@example.org,blocked\n3,Cy,cy@example.org,ok\n"
VIEW = {"name": "safe", "base_dataset": "people", "columns": ["id", "name", "email"], "row_filter": "status != 'blocked'",
        "column_redactions": {"email": "hash", "name": {"mask": {"keep_prefix": 1, "keep_suffix": 0}}}}


@pytest.fixture(scope="module")
def t(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("preview") / "data")
    server.ingest("people", PEOPLE)
    assert server.post("/catalog/views", json=VIEW).status_code == 201
    server.let_in("agent", {"view:safe": ["read"]}, principal="agent-one")
    server.let_in("nothing", {"view:other": ["read"]}, principal="nothing-one")
    yield server
    server.stop()


def preview(t, token=None, **body):
    headers = {"Authorization": f"Bearer {token or t.token}"}
    return requests.post(t.url + "/query/preview", json=body, headers=headers, timeout=60)


def test_a_view_is_shown_beside_its_base(t):
    answer = preview(t, view="safe", **{"as": ["agent"]}).json()
    assert len(answer["as"]) == 1
    side = answer["as"][0]
    assert (side["outcome"], side["rows_base"], side["rows_shown"], side["version"]) == ("ok", 3, 2, 1)
    assert [(c["name"], c["masked"]) for c in side["columns"]] == [("id", False), ("name", True), ("email", True)]
    assert [r["shown"] for r in side["rows"]] == [True, False, True]
    assert side["rows"][0]["true_values"] == [1, "Ann", "ann@example.org"]
    assert side["rows"][0]["seen"][:2] == [1, "A******"]
    assert side["rows"][1]["seen"] is None and side["rows"][1]["true_values"][1] == "Bob"
    assert "ann@" not in str(side["rows"][0]["seen"])
    assert not side["truncated"]


def test_what_is_seen_is_what_the_agent_gets(t):
    token = t.let_in("seer", {"view:safe": ["read"]}, principal="seer-one")
    got = requests.post(t.url + "/query/sql", json={"sql": "SELECT * FROM safe ORDER BY id", "format": "arrays"},
                        headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert got.status_code == 200, got.text
    side = preview(t, view="safe", **{"as": ["seer"]}).json()["as"][0]
    assert [r["seen"] for r in side["rows"] if r["shown"]] == got.json()["rows"]


def test_a_statement_is_run_as_each_and_beside_the_owner(t):
    answer = preview(t, sql="SELECT id, email FROM safe ORDER BY id", **{"as": ["agent", "nothing"]}).json()
    agent, nothing = answer["as"]
    assert answer["owner"]["rows"] == [[1, "ann@example.org"], [2, "bob@example.org"], [3, "cy@example.org"]]
    assert [r[0] for r in agent["rows"]] == [1, 3] and "@" not in str(agent["rows"])
    assert agent["views"] == [{"view": "safe", "version": 1, "rows_base": 3, "rows_shown": 2}]
    assert (nothing["outcome"], nothing["views"]) == ("not_found", [])
    assert "rows" not in nothing and "safe" in nothing["message"]


def test_cells_that_differ_are_told(t):
    answer = preview(t, sql="SELECT id, email FROM safe WHERE id <> 2 ORDER BY id", **{"as": ["agent"]}).json()
    assert answer["as"][0]["differing"] == [[0, 1], [1, 1]]


def test_a_dataset_is_shown_through_each_of_its_views(t):
    answer = preview(t, dataset="people", **{"as": ["agent", "nothing"]}).json()
    assert [(s["as"], s["view"], s["outcome"]) for s in answer["as"]] == \
        [("agent", "safe", "ok"), ("nothing", "safe", "not_found")]


def test_a_principal_has_the_roles_of_its_tokens(t):
    t.let_in("one", {"view:other": ["read"]}, principal="both")
    t.let_in("two", {"view:safe": ["read"]}, principal="both")
    side = preview(t, view="safe", **{"as": ["both"]}).json()["as"][0]
    assert sorted(side["roles"]) == ["one", "two"] and side["outcome"] == "ok"
    assert preview(t, view="safe", **{"as": ["role:both"]}).status_code == 404
    assert preview(t, view="safe", **{"as": ["principal:agent"]}).status_code == 404


def test_to_see_as_others_takes_a_right_and_gives_no_other(t):
    agent = t.let_in("plain", {"view:safe": ["read"]}, principal="plain-one")
    assert preview(t, agent, view="safe", **{"as": ["agent"]}).status_code == 403
    seer = t.let_in("support", {"server": ["impersonate"], "view:safe": ["read"]}, principal="support-one")
    assert preview(t, seer, view="safe", **{"as": ["agent"]}).status_code == 404  # true values are not theirs
    assert preview(t, seer, sql="SELECT 1", **{"as": ["admin"]}).status_code == 403  # nor an admin's rights
    answer = preview(t, seer, sql="SELECT * FROM safe", **{"as": ["agent"]}).json()
    assert answer["owner"]["outcome"] == "not_found" and len(answer["as"][0]["rows"]) == 2
    assert "example.org" not in str(answer)


def test_previews_are_in_the_journal_as_such(t):
    preview(t, sql="SELECT id FROM safe", **{"as": ["agent"]})
    wait_until(lambda: any(e["details"].get("restricted") and e["details"]["roles"] == ["agent"]
                           for e in t.get("/journal", params={"action": "query.preview"}).json()["entries"]))


@pytest.mark.parametrize("body", [
    {"as": ["agent"]}, {"view": "safe", "sql": "SELECT 1", "as": ["agent"]}, {"view": "safe"}, {"view": "safe", "as": []},
    {"view": "safe", "as": [1]}, {"view": "safe", "as": ["agent"], "rows_max": 1001}, {"view": "safe", "as": "agent"},
    {"view": "safe", "as": ["agent"] * 17}, {"view": 1, "as": ["agent"]}, {"view": "safe", "as": ["agent"], "more": 1}])
def test_what_is_no_request_is_refused(t, body):
    assert preview(t, **body).status_code == 400


def test_a_statement_that_writes_is_not_run(t):
    answer = preview(t, sql="DELETE FROM people", **{"as": ["admin"]}).json()
    assert answer["owner"]["outcome"] == answer["as"][0]["outcome"] == "statement_refused"
    assert t.sql("SELECT count(*) AS n FROM people") == [{"n": 3}]


def test_rows_are_bounded(t):
    side = preview(t, view="safe", rows_max=2, **{"as": ["agent"]}).json()["as"][0]
    assert len(side["rows"]) == 2 and side["truncated"] and side["rows_base"] == 3


def test_the_command_shows_both_sides(t):
    def run(*words):
        return subprocess.run([TARN, "view", "preview", "safe", *words, "--url", t.url], capture_output=True, text=True,
                              timeout=60, env={"TARN_TOKEN": t.token})
    done = run("--as", "agent")
    assert done.returncode == 0, done.stderr
    assert "agent sees 2 of 3 rows" in done.stdout and "hidden" in done.stdout and "name (agent)" in done.stdout
    assert run().returncode == 2
