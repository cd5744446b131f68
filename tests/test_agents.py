"""Agents and others on one server: who waits for whom."""

import threading
import time

import pytest
import requests
from conftest import Server, wait_until

HEAVY = "SELECT count(*) FROM range(1000000000000) r(i) WHERE i % 7 = 3"


@pytest.fixture
def t(tmp_path):
    """One place for queries, one worker, and an agent whose queries end after four seconds."""
    server = Server(tmp_path / "data", "--query-running-max", 1, "--worker-count-max", 1)
    server.ingest("people", "id,name\n1,Ann\n2,Bob\n")
    view = {"name": "safe", "base_dataset": "people", "columns": ["id"]}
    assert server.post("/catalog/views", json=view).status_code == 201
    server.agent = server.let_in("agent", {"view:safe": ["read"]}, time_ms=4000)
    yield server
    server.stop()


def ask(t, sql, answers=None, token=None):
    answer = requests.post(t.url + "/query/sql", json={"sql": sql}, headers={"Authorization": f"Bearer {token or t.agent}"},
                           timeout=60)
    if answers is not None:
        answers.append(answer.status_code)
    return answer


def test_agents_that_run_and_wait_keep_nobody_else_from_asking(t):
    answers = []
    before = time.monotonic()
    agents = [threading.Thread(target=ask, args=(t, HEAVY, answers)) for _ in range(4)]
    for agent in agents:
        agent.start()
    wait_until(lambda: len(t.get("/query/running").json()["queries"]) == 4)
    assert t.value("SELECT count(*) AS n FROM people") == 2
    still = len(t.get("/query/running").json()["queries"])
    assert still > 0 or time.monotonic() - before > 4, "the agents had ended: nothing was shown"
    for agent in agents:
        agent.join(60)
    assert set(answers) <= {503, 504} and len(answers) == 4
    assert ask(t, "SELECT count(*) AS n FROM safe").json()["rows"] == [{"n": 2}]
    assert t.value("SELECT count(*) AS n FROM safe") == 2


def test_one_that_waits_can_be_stopped_and_is_told(t):
    answers = []
    patient = t.let_in("patient", {"view:safe": ["read"]}, time_ms=60000)
    first = threading.Thread(target=ask, args=(t, HEAVY, answers, patient))
    first.start()
    wait_until(lambda: [q["state"] for q in t.get("/query/running").json()["queries"]] == ["running"])
    running = t.get("/query/running").json()["queries"][0]
    assert running["principal"] == "patient" and "sql" not in running
    assert t.delete(f"/query/running/{running['id']}").status_code == 200
    first.join(60)
    assert answers == [499]
    assert ask(t, "SELECT count(*) AS n FROM safe").json()["rows"] == [{"n": 2}]
