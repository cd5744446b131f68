"""What nobody thought of: mutants of the hostile and of the legitimate statements, at random.

TARN_SEED and TARN_MUTANTS choose others and more of them.
"""

import os
import random
import re

import pytest

from agent_world import SHAPES, SLOW, World, each, telling
from canary import Statement, read_corpus
from mutate import Mutants
from test_hostile import judge, leaks, told_apart

SEED = int(os.environ.get("TARN_SEED", 20261129))
COUNT = int(os.environ.get("TARN_MUTANTS", 80 if SLOW else 500))
RUNS = ["equality", "outside", "deleted", "cases"]
# What tells the bases apart and nothing of them: estimates, which vary with the files that a worker has read before, and what is
# made of a base's name where that is a value.
ROUGH = re.compile(r"\b(EXPLAIN|SUMMARIZE)\b|'[^']*\{(base|view)\}[^']*'", re.IGNORECASE)


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("mutants"), time_ms=3000)
    yield world
    world.server.stop()


def varies(w, shape, sent, *names):
    """Does the same question have several answers?"""
    agent = w.agents[shape]
    return len({repr(telling(agent.sql(sent), *names)) for _ in range(4)}) > 1


def test_no_mutant_shows_what_is_hidden_or_tells_two_bases_apart(w):
    rng = random.Random(SEED)
    mutants = Mutants([s.text for s in read_corpus("hostile")], [s.text for s in read_corpus("legit")], rng)
    hidden, failures, answered, faults = {shape: w.hidden_from(shape) for shape in SHAPES}, [], [], []

    def ask(item):
        number, text, shape = item
        statement = Statement("mutant", number, "any", frozenset(), text)
        try:
            sent = w.statement(text, shape)
        except AssertionError:
            return  # a placeholder was cut
        answer = w.agents[shape].sql(sent)
        answered.append(answer.status == 200)
        if answer.status == 500 and answer.json()["detail"].startswith("INTERNAL Error: "):
            faults.append(sent)  # of the engine's planner, which says so and goes on
            wrong = f"it shows {leaks(w, hidden[shape], answer, sent)}" if leaks(w, hidden[shape], answer, sent) else None
        else:
            wrong = judge(w, hidden[shape], statement, sent, answer)
        if not wrong and answer.status != 500 and not ROUGH.search(text):
            wrong = told_apart(w, shape, statement, sent, answer)
            if wrong and varies(w, shape, sent, w.a.name, f"v_{shape}_a"):
                wrong = None
        if wrong:
            failures.append(f"seed {SEED}, number {number}, {shape}\n  {sent[:1500]!r}\n  {wrong}")

    with w.log_since() as lines:
        each(ask, [(i, mutants.next(), rng.choice(RUNS)) for i in range(COUNT)])
    assert not failures, f"{len(failures)} failed\n" + "\n".join(failures[:10])
    assert sum(answered) > COUNT // 8 and len(faults) <= COUNT // 100 + 1, faults[:10]
    assert not w.all.found("".join(lines), "".join(str(v) for shape in RUNS for v in w.values(shape).values()))
    assert w.server.get("/health").status_code == 200
