"""What an agent may ask of a view is answered with the rows that a table of the masked rows would have."""

import json
import random

import pytest

from agent_world import (HIDDEN_COLUMNS, ORDERS_VIEW, SHOWN, SLOW, TYPES, World, each, parquet)
from canary import fill, read_corpus

LEGIT = read_corpus("legit")
SHAPES = ("unless", "deleted")
QUERIES = 40 if SLOW else 400
MASKED_TYPES = {**{c: TYPES[c] for c in SHOWN}, "team": "VARCHAR"}


def expected(row, hashes):
    """A row as the view is to show it, the hashes as they were seen."""
    shown = {c: v for c, v in row.items() if c not in HIDDEN_COLUMNS}
    shown.update(seen=row["seen"].replace(day=1, hour=0, minute=0, second=0, microsecond=0),
                 email=hashes["email"].get(row["email"]), team=hashes["team"].get(row["team"]),
                 ssn="******" + row["ssn"][-2:], card="******" + row["card"][-4:],
                 code="".join("x" if c.isalpha() else "n" if c.isdigit() else c for c in row["code"]),
                 salary=None, bonus=0)
    return shown


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    """The world, with tables of the masked rows: made through the view by the admin, and made here."""
    world = World(tmp_path_factory.mktemp("legit"), SHAPES)
    world.server.sql(f"CREATE TABLE copied_orders AS SELECT * FROM {ORDERS_VIEW}")
    for shape in SHAPES:
        world.server.sql(f"CREATE TABLE copied_{shape} AS SELECT * FROM v_{shape}_a")
        rows = world.shown(shape)
        seen = {r["n"]: r for r in world.agents[shape].rows(f"SELECT n, email, team FROM v_{shape}_a")}
        hashes = {c: {rows[n][c]: r[c] for n, r in seen.items()} for c in ("email", "team")}
        world.server.ingest(f"made_{shape}", parquet([expected(r, hashes) for r in rows.values()], MASKED_TYPES))
    yield world
    world.server.stop()


def plain(value):
    """A value in which the last digits of a sum of floats make no difference."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def answer_of(client, sql, ordered=False):
    """Columns and rows, in an order of their own unless the statement gives one; or the code of the failure."""
    answer = client.sql(sql, params="rows_max=200000&format=arrays")
    if answer.status != 200:
        return answer.status, answer.code(), answer.text()[:300]
    body = answer.json()
    rows = [json.dumps(plain(row)) for row in body["rows"]]
    return 200, [c["name"] for c in body["columns"]], [c["type"] for c in body["columns"]], rows if ordered else sorted(rows)


@pytest.mark.parametrize("shape", SHAPES)
def test_hashes_keep_which_values_are_equal_and_nothing_else(w, shape):
    rows, seen = w.shown(shape), w.agents[shape].rows(f"SELECT n, email, team FROM v_{shape}_a")
    for column in ("email", "team"):
        pairs = {(rows[r["n"]][column], r[column]) for r in seen}
        assert len({true for true, _ in pairs}) == len({shown for _, shown in pairs}) == len(pairs)
        for true, shown in pairs:
            assert (shown is None) == (true is None)
            assert shown is None or (len(shown) == 32 and set(shown) <= set("0123456789abcdef"))
    [first] = w.agents[shape].rows(f"SELECT count(*) AS c FROM v_{shape}_a v JOIN {ORDERS_VIEW} o ON v.email = o.email")
    emails = [r["email"] for r in rows.values() if r["email"]]
    assert first["c"] == sum(emails.count(o["email"]) for o in w.orders) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_legitimate_queries_are_answered_as_on_a_table_of_the_masked_rows(w, shape):
    agent, failures = w.agents[shape], []

    def ask(statement):
        def sent(view, orders):
            return fill(statement.text, {"view": view, "orders": orders})
        ordered = "ordered" in statement.flags
        got = answer_of(agent, sent(f"v_{shape}_a", ORDERS_VIEW), ordered)
        if got[0] != 200:
            failures.append(f"{statement}: {statement.text}\n  {got}")
        elif "own" not in statement.flags:
            want = answer_of(w.admin, sent(f"copied_{shape}", "copied_orders"), ordered)
            if renamed(got, w, shape) != renamed(want, w, shape):
                failures.append(f"{statement}: {statement.text}\n  {str(got)[:1500]}\n  {str(want)[:1500]}")

    each(ask, LEGIT[::4] if SLOW else LEGIT)
    assert not failures, f"{len(failures)} of {len(LEGIT)}\n" + "\n".join(failures[:10])


def renamed(answer, w, shape):
    return repr(answer).replace(f"v_{shape}_a", "-").replace(f"copied_{shape}", "-").replace(ORDERS_VIEW, "-orders").replace(
        "copied_orders", "-orders")


# Random queries

class Maker:
    """Makes queries over a view's columns that have one answer, whatever order rows come in."""

    TEXTS = ["name", "region", "note", "email", "ssn", "card", "code", "team", "dims.s", "tags[1]"]
    NUMBERS = ["n", "qty", "salary", "bonus", "dims.w", "id"]

    def __init__(self, rng):
        self.rng = rng

    def one(self, *makers):
        return self.rng.choice(makers)()

    def number(self, t, depth=0):
        column = f"{t}.{self.rng.choice(self.NUMBERS)}"
        if depth > 2:
            return column
        return self.one(
            lambda: column, lambda: column, lambda: str(self.rng.randrange(-5, 300)),
            lambda: f"({self.number(t, depth + 1)} + {self.rng.randrange(100)})",
            lambda: f"({self.number(t, depth + 1)} - {t}.qty)", lambda: f"({self.number(t, depth + 1)} % {self.rng.randrange(2, 9)})",
            lambda: f"abs({self.number(t, depth + 1)})", lambda: f"length({self.text(t, depth + 1)})",
            lambda: f"coalesce({self.number(t, depth + 1)}, {self.number(t, depth + 1)})",
            lambda: f"CASE WHEN {self.condition(t, depth + 1)} THEN {self.number(t, depth + 1)} ELSE {t}.n END",
            lambda: f"year({t}.{self.rng.choice(['born', 'seen'])})", lambda: f"month({t}.seen)", lambda: f"len({t}.tags)",
            lambda: f"position('g' IN {self.text(t, depth + 1)})", lambda: f"round({t}.price)::INTEGER",
            lambda: f"list_count([{t}.qty, {t}.salary])", lambda: f"date_diff('day', {t}.born, {t}.seen::DATE)")

    def text(self, t, depth=0):
        column = f"{t}.{self.rng.choice(self.TEXTS)}"
        if depth > 2:
            return column
        return self.one(
            lambda: column, lambda: column, lambda: repr(self.rng.choice(["EU", "open", "x", "red", "******", ""])),
            lambda: f"upper({self.text(t, depth + 1)})", lambda: f"left({self.text(t, depth + 1)}, {self.rng.randrange(1, 6)})",
            lambda: f"({self.text(t, depth + 1)} || {self.text(t, depth + 1)})",
            lambda: f"substr({self.text(t, depth + 1)}, {self.rng.randrange(1, 5)}, 3)",
            lambda: f"replace({self.text(t, depth + 1)}, 'g', '_')", lambda: f"coalesce({self.text(t, depth + 1)}, 'none')",
            lambda: f"nullif({self.text(t, depth + 1)}, 'EU')", lambda: f"{self.number(t, depth + 1)}::VARCHAR",
            lambda: f"CASE WHEN {self.condition(t, depth + 1)} THEN {self.text(t, depth + 1)} END",
            lambda: f"array_to_string(list_sort({t}.tags), '-')", lambda: f"strftime({t}.born, '%Y-%m')",
            lambda: f"regexp_replace({self.text(t, depth + 1)}, '[a-m]', '.')")

    def condition(self, t, depth=0):
        compare = self.rng.choice(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"])
        if depth > 2:
            return f"{t}.n {compare} {self.rng.randrange(300)}"
        return self.one(
            lambda: f"{self.number(t, depth + 1)} {compare} {self.number(t, depth + 1)}",
            lambda: f"{self.text(t, depth + 1)} {compare} {self.text(t, depth + 1)}",
            lambda: f"{t}.region = 'EU'", lambda: f"{t}.qty > {self.rng.randrange(9)}",
            lambda: f"{self.text(t, depth + 1)} LIKE '%{self.rng.choice('ghkmx*n')}%'",
            lambda: f"{self.text(t, depth + 1)} IS {self.rng.choice(['', 'NOT '])}NULL",
            lambda: f"{self.number(t, depth + 1)} BETWEEN {self.rng.randrange(100)} AND {self.rng.randrange(100, 300)}",
            lambda: f"{t}.region IN ('EU', 'AP')", lambda: f"{t}.born > DATE '{self.rng.randrange(1950, 2004)}-03-01'",
            lambda: f"({self.condition(t, depth + 1)} AND {self.condition(t, depth + 1)})",
            lambda: f"({self.condition(t, depth + 1)} OR {self.condition(t, depth + 1)})",
            lambda: f"NOT ({self.condition(t, depth + 1)})", lambda: f"list_contains({t}.tags, {self.text(t, depth + 1)})",
            lambda: f"EXISTS (SELECT 1 FROM {{orders}} o WHERE o.n = {t}.n AND o.amount > {self.rng.randrange(90)})",
            lambda: f"{t}.n {self.rng.choice(['', 'NOT '])}IN (SELECT s.n FROM {{view}} s WHERE s.qty > {self.rng.randrange(9)})",
            lambda: f"{t}.price > (SELECT avg(s.price) FROM {{view}} s WHERE s.region = {t}.region)")

    def value(self, t):
        return self.one(lambda: self.number(t), lambda: self.text(t), lambda: f"({self.condition(t)})",
                        lambda: f"{t}.{self.rng.choice(SHOWN)}")

    def aggregate(self, t):
        f = self.rng.choice(["min(", "max(", "count(", "count(DISTINCT "])
        return self.one(
            lambda: "count(*)", lambda: f"sum({self.number(t)})", lambda: f"avg({t}.price)",
            lambda: f"{f}{self.text(t)})", lambda: f"{f}{self.number(t)})",
            lambda: f"string_agg({self.text(t)}, ',' ORDER BY {t}.n)", lambda: f"list({self.number(t)} ORDER BY {t}.n)",
            lambda: f"count(*) FILTER (WHERE {self.condition(t)})", lambda: f"arg_max({self.text(t)}, {t}.n)",
            lambda: f"bool_or({self.condition(t)})", lambda: f"median({t}.qty)")

    def values(self, t, most=4):
        return ", ".join(f"{self.value(t)} AS c{i}" for i in range(self.rng.randrange(1, most)))

    def plain_query(self):
        return f"SELECT v.n, {self.values('v')} FROM {{view}} v WHERE {self.condition('v')}"

    def grouped(self):
        key = self.value("v")
        having = f" HAVING count(*) > {self.rng.randrange(4)}" if self.rng.random() < 0.4 else ""
        kind = self.rng.choice(["GROUP BY 1", "GROUP BY ROLLUP (1)"]) if key.startswith("v.") else "GROUP BY 1"
        kind = kind.replace("(1)", f"({key})")
        return (f"SELECT {key} AS k, {self.aggregate('v')} AS a, {self.aggregate('v')} AS b FROM {{view}} v "
                f"WHERE {self.condition('v')} {kind}{having}")

    def window(self):
        over = f"PARTITION BY {self.value('v')} ORDER BY v.n"
        return (f"SELECT v.n, row_number() OVER ({over}) AS r, sum(v.qty) OVER ({over}) AS s, "
                f"lag({self.text('v')}) OVER (ORDER BY v.n) AS l, count(*) OVER (PARTITION BY {self.text('v')}) AS c "
                f"FROM {{view}} v WHERE {self.condition('v')}")

    def joined(self):
        kind = self.rng.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
        on = self.rng.choice(["v.n = w.n", "v.email = w.email", "v.n = w.n + 1", "v.team = w.team AND v.qty = w.qty",
                              "v.ssn = w.ssn AND v.region = w.region"])
        return f"SELECT v.n AS a, w.n AS b, {self.values('w', 3)} FROM {{view}} v {kind} {{view}} w ON {on} WHERE {self.condition('v')}"

    def with_orders(self):
        return (f"SELECT v.n, o.order_no, o.item, {self.values('v', 3)} FROM {{view}} v JOIN {{orders}} o "
                f"ON {self.rng.choice(['o.n = v.n', 'o.email = v.email'])} WHERE {self.condition('v')}")

    def set_query(self):
        kind = self.rng.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL"])
        return (f"SELECT {self.number('v')} AS x, {self.text('v')} AS y FROM {{view}} v WHERE {self.condition('v')} {kind} "
                f"SELECT {self.number('w')}, {self.text('w')} FROM {{view}} w WHERE {self.condition('w')}")

    def cut(self):
        return (f"SELECT v.n, {self.values('v')} FROM {{view}} v WHERE {self.condition('v')} "
                f"ORDER BY {self.value('v')} NULLS LAST, v.n LIMIT {self.rng.randrange(1, 40)} OFFSET {self.rng.randrange(9)}")

    def nested(self):
        return (f"WITH c AS (SELECT v.n, {self.text('v')} AS t, {self.number('v')} AS k FROM {{view}} v WHERE {self.condition('v')}) "
                f"SELECT c.t, count(*) AS q, sum(c.k) AS s, max(v.name) AS m FROM c JOIN {{view}} v USING (n) GROUP BY c.t")

    def query(self):
        return self.one(self.plain_query, self.grouped, self.grouped, self.window, self.joined, self.with_orders, self.set_query,
                        self.cut, self.nested, lambda: f"SELECT DISTINCT {self.values('v')} FROM {{view}} v")


@pytest.mark.parametrize("shape", SHAPES)
def test_random_queries_have_the_rows_that_the_masked_rows_give(w, shape):
    maker = Maker(random.Random(f"queries of {shape}"))
    agent, failures, answered = w.agents[shape], [], []

    def ask(text):
        def sent(view, orders):
            return fill(text, {"view": view, "orders": orders})
        got = answer_of(agent, sent(f"v_{shape}_a", ORDERS_VIEW))
        copied = answer_of(w.admin, sent(f"copied_{shape}", "copied_orders"))
        made = answer_of(w.admin, sent(f"made_{shape}", "copied_orders"))
        answered.append(got[0] == 200 and len(got[3]) > 0)
        if got[0] == 200:
            same = got == copied == made
        else:
            same = got[:2] == copied[:2] == made[:2]
        if not same:
            failures.append(f"{text}\n  {str(got)[:1200]}\n  {str(copied)[:1200]}\n  {str(made)[:1200]}")

    each(ask, [maker.query() for _ in range(QUERIES)])
    assert not failures, f"{len(failures)} of {QUERIES}\n" + "\n".join(failures[:5])
    assert sum(answered) > QUERIES * 0.6
