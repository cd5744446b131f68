"""While agents ask for more time and memory than there is, the server answers everybody else, and their statements end."""

import threading
import time

import pytest
import requests

from agent_world import SLOW, World, each
from canary import read_corpus
from conftest import wait_until

CORPUS = read_corpus("exhaust")
SHAPE = "equality"
LIMIT_MS = 2000
KILL_SECONDS = 1  # after the deadline
SLACK_SECONDS = 30  # of a machine that does other things as well
MEMORY = 600 << 20
ENDS = {200, 400, 413, 422, 503, 504, 507}


class Prober(threading.Thread):
    """Asks for the health, and as somebody else for a few rows, again and again."""

    def __init__(self, world, calm):
        super().__init__(daemon=True)
        self.world, self.calm = world, calm
        self.over = threading.Event()
        self.health, self.rows, self.memory = [], [], []

    def run(self):
        session = requests.Session()
        session.trust_env = False
        while not self.over.wait(0.05):
            try:
                self.health.append(session.get(self.world.server.url + "/health", timeout=30).status_code)
                self.memory.append(self.world.server.rss()[0])
                if len(self.health) % 20 == 0:
                    self.rows.append(self.calm.sql(f"SELECT count(*) AS c FROM v_{SHAPE}_b").status)
            except Exception as e:
                self.health.append(repr(e))


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("exhaust"), (SHAPE,), time_ms=LIMIT_MS, bytes_max=5_000_000)
    yield world
    world.server.stop()


def test_what_asks_for_too_much_ends_at_its_time_and_the_server_does_not_feel_it(w):
    agent, calm = w.agents[SHAPE], w.new_agent("calm", [f"v_{SHAPE}_b"], time_ms=60000)
    want = agent.rows(f"SELECT count(*) AS c FROM v_{SHAPE}_a")
    assert calm.rows(f"SELECT count(*) AS c FROM v_{SHAPE}_b") == want
    prober, before, failures, statuses = Prober(w, calm), w.server.rss()[0], [], []
    prober.start()

    def ask(statement):
        sent = w.statement(statement.text, SHAPE)
        start = time.monotonic()
        answer = agent.sql(sent)
        seconds = time.monotonic() - start
        statuses.append(answer.status)
        if answer.status not in ENDS:
            failures.append(f"{statement}: {answer.status} {answer.text()[:300]}")
        if seconds > LIMIT_MS / 1000 + KILL_SECONDS + SLACK_SECONDS:
            failures.append(f"{statement} took {seconds:.1f} s: {sent[:200]!r}")

    each(ask, CORPUS[::6] if SLOW else CORPUS, threads=4)
    wait_until(lambda: not w.server.get("/query/running").json()["queries"])
    prober.over.set()
    prober.join(60)
    assert not failures, "\n".join(failures)
    assert set(prober.health) == {200} and len(prober.health) > 50, set(prober.health)
    assert set(prober.rows) == {200}, prober.rows
    assert SLOW or max(prober.memory) - before < MEMORY
    assert 504 in statuses and w.server.process.poll() is None
    assert agent.rows(f"SELECT count(*) AS c FROM v_{SHAPE}_a") == want == calm.rows(f"SELECT count(*) AS c FROM v_{SHAPE}_b")
    assert w.server.value(f"SELECT count(*) FROM {w.a.name}") == len(w.a.live())


def test_one_after_the_other_an_agent_is_served_again_after_each(w):
    agent = w.agents[SHAPE]
    for statement in CORPUS[:5]:
        assert agent.sql(w.statement(statement.text, SHAPE)).status in ENDS
        assert agent.rows(f"SELECT min(qty) IS NOT NULL AS c FROM v_{SHAPE}_a") == [{"c": True}]
