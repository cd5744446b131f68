"""SQL that writes, from outside: what it answers, what it refuses, and against another engine on the same statements."""

import json
import os
import pathlib
import random
import sqlite3
import subprocess
import threading

import pytest

TARN = os.environ.get("TARN_BIN", "tarn")
CORPUS = pathlib.Path(__file__).resolve().parent.parent / "src" / "guard" / "guard_change_hostile.txt"


def write(t, sql, **members):
    answer = t.query(sql, **members)
    assert answer.status_code == 200, f"{answer.text}\nfor {sql}"
    return answer.json()


def rows(t, sql):
    return [tuple(r) for r in t.sql(sql, format="arrays", rows_max=1_000_000)]


def problem(answer, status, code):
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return answer.json()


# Answers

def test_an_answer_says_what_was_done(t):
    made = write(t, "CREATE TABLE told AS SELECT i AS id, 'n' || i AS name FROM range(3) r(i)")
    assert (made["statement"], made["dataset"], made["rows_affected"]) == ("create", "told", 3)
    done = write(t, "update TOLD set name = 'x' where id > 0", reason="a test")
    assert (done["statement"], done["dataset"], done["rows_affected"]) == ("update", "told", 2)
    assert done["rows"] == [{"rows_affected": 2}] and done["row_count"] == 1
    assert done["columns"][0]["name"] == "rows_affected"
    shown = t.get("/catalog/datasets/by-name/told").json()
    assert shown["snapshot"] == done["snapshot"] and shown["rows"] == 3
    nothing = write(t, "DELETE FROM told WHERE id = 99")
    assert nothing["rows_affected"] == 0 and nothing["snapshot"] is None
    assert t.get("/catalog/datasets/by-name/told").json()["snapshot"] == done["snapshot"]
    assert "statement" not in t.query("SELECT 1").json()


@pytest.mark.parametrize("accept, text", [("text/csv", "rows_affected\r\n1\r\n"), ("application/x-ndjson", '{"rows_affected":1}\n')])
def test_other_formats_give_the_same_row(t, accept, text):
    name = "f" + accept[-3:]
    write(t, f"CREATE TABLE {name} AS SELECT 1 AS a")
    answer = t.query(f"INSERT INTO {name} VALUES (2)", accept=accept)
    assert answer.status_code == 200 and answer.text.replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert t.value(f"SELECT sum(a) FROM {name}") == 3


def test_the_journal_tells_who_what_and_why(t):
    write(t, "CREATE TABLE why AS SELECT 1 AS a", reason="made")
    write(t, "INSERT INTO why VALUES (2)", reason="more")
    t.post("/query/sql", params={"reason": "in the address"}, data="UPDATE why SET a = 5 WHERE a = 2",
           headers={"Content-Type": "text/plain"})
    write(t, "ALTER TABLE why ADD COLUMN b INT", reason="wider")
    write(t, "DELETE FROM why")
    write(t, "DROP TABLE why", reason="done with")
    entries = [e for e in t.get("/journal?limit=1000").json()["entries"] if e["target"] == "dataset:why" and e["changes"]]
    assert [(e["action"], e["reason"] or "", e["actor"]) for e in reversed(entries)] == [
        ("sql.create", "made", "admin"), ("sql.insert", "more", "admin"), ("sql.update", "in the address", "admin"),
        ("sql.alter", "wider", "admin"), ("sql.delete", "", "admin"), ("sql.drop", "done with", "admin")]
    assert rows(t, "SELECT action FROM system.journal WHERE target = 'dataset:why' AND action LIKE 'sql.%' ORDER BY seq DESC LIMIT 1") == [("sql.drop",)]


def test_an_older_version_keeps_the_rows_of_its_time(t):
    write(t, "CREATE TABLE past AS SELECT i AS id, i * 10 AS v FROM range(5) r(i)")
    states = [rows(t, "FROM past ORDER BY id")]
    for sql in ["UPDATE past SET v = v + 1 WHERE id < 3", "DELETE FROM past WHERE id = 0",
                "INSERT INTO past SELECT id + 100, v FROM past", "UPDATE past SET v = 0", "DELETE FROM past"]:
        write(t, sql)
        states.append(rows(t, "FROM past ORDER BY id"))
    for version, state in enumerate(states, 1):
        assert rows(t, f"FROM past AT (VERSION => {version}) ORDER BY id") == state
    assert rows(t, "SELECT operation FROM system.snapshots WHERE dataset = 'past' ORDER BY sequence_number")[0] == ("append",)


def test_deleted_rows_can_be_seen_until_their_file_goes(t):
    write(t, "CREATE TABLE ghosts AS SELECT i AS id FROM range(10) r(i)")
    write(t, "DELETE FROM ghosts WHERE id % 2 = 0")
    assert t.value("SELECT count(*) FROM ghosts") == 5
    assert t.value("SELECT count(*) FROM __raw__ghosts") == 10
    assert rows(t, "SELECT id FROM __raw__ghosts EXCEPT SELECT id FROM ghosts ORDER BY id") == [(0,), (2,), (4,), (6,), (8,)]
    assert rows(t, "SELECT rows, deleted_rows FROM system.files WHERE dataset = 'ghosts'") == [(10, 5)]
    write(t, "DELETE FROM ghosts")
    assert t.value("SELECT count(*) FROM __raw__ghosts") == 0


def test_a_statement_sent_twice_under_one_key_is_done_once(t):
    write(t, "CREATE TABLE once AS SELECT 1 AS a")
    key = {"Idempotency-Key": "once-1"}
    first = write(t, "INSERT INTO once VALUES (2), (3)", headers=key)
    again = write(t, "INSERT INTO once VALUES (2), (3)", headers=key)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert (again["rows_affected"], again["snapshot"], again["rows"]) == (2, first["snapshot"], [{"rows_affected": 2}])
    problem(t.query("INSERT INTO once VALUES (4)", headers=key), 409, "conflict")
    assert not write(t, "INSERT INTO once VALUES (2), (3)", headers={"Idempotency-Key": "once-2"})["replayed"]
    assert t.value("SELECT count(*) FROM once") == 5
    problem(t.query("DROP TABLE once", headers=key), 400, "invalid_argument")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(t.query("UPDATE once SET a = a + 1", headers={"Idempotency-Key": "once-3"})))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [200] * 6, [a.text for a in answers]
    assert sorted(a.json()["replayed"] for a in answers) == [False] + [True] * 5
    assert t.value("SELECT sum(a) FROM once") == 16


# Refusals

def test_hostile_statements_are_refused_and_do_nothing(t):
    write(t, "CREATE OR REPLACE TABLE t AS SELECT 1 AS a, 2 AS b, 3 AS id")
    write(t, "CREATE OR REPLACE TABLE u AS SELECT 1 AS a, 2 AS b, 3 AS id")
    seq = t.told(outcome="done")[0]["seq"]
    passed = []
    count = 0
    for line in CORPUS.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            count += 1
            answer = t.query(line)
            if answer.status_code != 422 or answer.json()["code"] not in ("statement_refused", "sql_error"):
                passed.append((line, answer.text))
    assert count > 250 and not passed, passed[:5]
    assert t.told(outcome="done")[0]["seq"] == seq
    assert rows(t, "FROM t") == rows(t, "FROM u") == [(1, 2, 3)]


@pytest.mark.parametrize("sql, says, at", [
    ("UPDATE things SET name = ¦nmae", "nmae", True),
    ("UPDATE things SET ¦nix = 1", "no column", True),
    ("UPDATE things SET id = 1, ¦ID = 2", "set twice", True),
    ("DELETE FROM ¦thinsg", "did you mean", True),
    ("INSERT INTO things SELECT * FROM ¦thinsg", "did you mean", True),
    ("INSERT INTO things (id, ¦nix) VALUES (1, 2)", "no column", True),
    ("UPDATE things SET ¦id = name", "cannot be stored", True),
    ("UPDATE things SET name = 'x' ¦FROM other", "subquery", True),
    ("DELETE FROM things WHERE ¦read_csv('x')", "read_csv", True),
])
def test_errors_point_at_what_is_wrong(t, sql, says, at):
    write(t, "CREATE OR REPLACE TABLE things AS SELECT 1 AS id, 'x' AS name")
    answer = t.query(sql.replace("¦", ""))
    body = answer.json()
    assert answer.status_code in (404, 422) and says in body["detail"], body
    assert body.get("position") == (len(sql[:sql.index("¦")].encode()) if at else None), body
    assert rows(t, "FROM things") == [(1, "x")]


# The command line

def cli(t, *words):
    env = {"TARN_URL": t.url, "TARN_TOKEN": t.token, "PATH": os.environ["PATH"]}
    return subprocess.run([TARN, *words], capture_output=True, text=True, env=env, timeout=60)


def test_the_command_line_writes_and_alters(t):
    assert cli(t, "query", "CREATE TABLE byhand AS SELECT 1 AS id, 'a' AS city").returncode == 0
    done = cli(t, "query", "-o", "json", "UPDATE byhand SET city = 'b'", "--reason", "by hand")
    assert done.returncode == 0 and json.loads(done.stdout) == [{"rows_affected": 1}]
    done = cli(t, "query", "-o", "csv", "INSERT INTO byhand VALUES (2, 'c')")
    assert done.returncode == 0 and done.stdout.split() == ["rows_affected", "1"]
    assert "by hand" in cli(t, "journal", "show").stdout
    done = cli(t, "alter", "byhand", "--add", "note=VARCHAR", "--rename", "city=town", "--widen", "id=BIGINT",
               "--drop", "note", "--add", "n=DECIMAL(10,2)", "--reason", "tidier")
    assert done.returncode == 0 and "3 columns" in done.stderr, done.stderr
    assert rows(t, "SELECT id, town, n FROM byhand ORDER BY id") == [(1, "b", None), (2, "c", None)]
    for wrong in [[], ["--add", "note"], ["--add", "=INT"], ["--widen", "id=MOOD"], ["--nix", "x"]]:
        assert cli(t, "alter", "byhand", *wrong).returncode in (1, 2)
    assert cli(t, "alter", "nowhere", "--drop", "x").returncode == 3
    failed = cli(t, "query", "UPDATE byhand SET nix = 1")
    assert failed.returncode != 0 and "^" in failed.stderr


# Concurrency

def test_counters_of_many_clients_lose_nothing(t):
    write(t, "CREATE TABLE counters AS SELECT i AS id, 0 AS n FROM range(3) r(i)")
    failures = []

    def work(seed):
        for i in range(8):
            answer = t.query(f"UPDATE counters SET n = n + 1 WHERE id = {(seed + i) % 3}")
            if answer.status_code != 200 or answer.json()["rows_affected"] != 1:
                failures.append(answer.text)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rows(t, "SELECT id, n FROM counters ORDER BY id") == [(0, 16), (1, 16), (2, 16)]


def test_two_servers_on_one_folder_do_not_undo_each_other(serve, tmp_path):
    one, two = serve(data=tmp_path / "shared"), serve(data=tmp_path / "shared")
    seq = one.query("CREATE TABLE c AS SELECT 0 AS n").headers["X-Tarn-Seq"]
    assert two.query("SELECT n FROM c", headers={"X-Tarn-Seq": seq}).status_code == 200
    failures = []

    def work(server):
        for _ in range(10):
            answer = server.query("UPDATE c SET n = n + 1")
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=work, args=(s,)) for s in (one, two, one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    seq = two.query("INSERT INTO c VALUES (100)").headers["X-Tarn-Seq"]
    assert one.query("SELECT sum(n) FROM c", headers={"X-Tarn-Seq": seq}, format="arrays").json()["rows"] == [[140]]


# Against another engine

COLUMNS = ["k", "a", "b", "s"]


class Dice:
    """Statements that both engines understand alike."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def number(self):
        return str(self.r.randint(-20, 20))

    def text(self):
        return self.r.choice(["'x'", "'y''z'", "'-- no'", "'WHERE'", "''", "NULL", "'é'"])

    def integer(self, depth=0):
        if depth > 2 or self.r.random() < 0.3:
            return self.r.choice(["k", "a", "b", self.number(), "NULL", "length(s)"])
        x, y = self.integer(depth + 1), self.integer(depth + 1)
        return self.r.choice([
            f"({x} + {y})", f"({x} - {y})", f"abs({x})", f"coalesce({x}, {y})", f"CASE WHEN {self.condition(depth + 1)} THEN {x} ELSE {y} END",
            "(SELECT max(a) FROM t)", "(SELECT count(*) FROM t AS o WHERE o.k < t.k)", "(SELECT min(b) FROM u WHERE u.k = t.k)"])

    def condition(self, depth=0):
        if depth > 2 or self.r.random() < 0.5:
            x, y = self.r.choice(["k", "a", "b"]), self.number()
            return self.r.choice([
                f"{x} {self.r.choice(['=', '<', '>', '<=', '<>'])} {y}", f"{x} IS NULL", f"s IS NOT NULL", f"{x} BETWEEN {y} AND {y} + 9",
                f"{x} IN (1, 2, {y})", f"s = {self.text()}", f"{x} IN (SELECT a FROM u)", f"k NOT IN (SELECT k FROM u WHERE u.b < {y})",
                f"EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.a > {y})"])
        return f"({self.condition(depth + 1)} {self.r.choice(['AND', 'OR'])} {self.condition(depth + 1)})"

    def value(self, column):
        if column == "s":
            return self.r.choice([self.text(), "s", "s || 'w'", "replace(s, 'x', 'ww')", "substr(s || 'abc', 1, 3)"])
        return self.integer()

    def statement(self):
        table = self.r.choice(["t", "t", "t", "u"])
        kind = self.r.random()
        where = f" WHERE {self.condition()}" if self.r.random() < 0.85 else ""
        if kind < 0.35:
            columns = self.r.sample(COLUMNS[1:], self.r.randint(1, 3))
            sets = ", ".join(f"{c} = {self.value(c)}" for c in columns)
            return f"UPDATE t SET {sets}{where}"
        if kind < 0.55:
            return f"DELETE FROM t WHERE ({self.condition()}) AND k % {self.r.randint(2, 6)} = 0"
        if kind < 0.8:
            lines = ", ".join(f"({self.number()}, {self.number()}, {self.r.choice(['NULL', self.number()])}, {self.text()})"
                              for _ in range(self.r.randint(1, 5)))
            return f"INSERT INTO {table} VALUES {lines}"
        if kind < 0.9:
            return f"INSERT INTO {table} (s, k) SELECT s, k + {self.number()} FROM t{where}"
        return f"INSERT INTO {table} SELECT k, b, a, s || '+' FROM t WHERE k BETWEEN {self.number()} AND 3"


def agree(t, other, sql):
    ours = sorted(rows(t, sql), key=repr)
    theirs = sorted(other.execute(sql).fetchall(), key=repr)
    assert ours == theirs


@pytest.mark.parametrize("seed", range(6))
def test_random_statements_do_what_another_engine_does(serve, tmp_path, seed):
    dice = Dice(seed)
    server = serve()
    other = sqlite3.connect(":memory:", isolation_level=None)
    schema = "SELECT 0::BIGINT AS k, 0::BIGINT AS a, 0::BIGINT AS b, '' AS s WHERE false"
    for table in "tu":
        other.execute(f"CREATE TABLE {table} (k INTEGER, a INTEGER, b INTEGER, s TEXT)")
        write(server, f"CREATE TABLE {table} AS {schema}")
        start = ", ".join(f"({i}, {dice.number()}, {dice.number()}, {dice.text()})" for i in range(12))
        for run in (other.execute, lambda sql: write(server, sql)):
            run(f"INSERT INTO {table} VALUES {start}")
    for step in range(60):
        sql = dice.statement()
        if other.execute("SELECT count(*) FROM t").fetchone()[0] > 400:
            sql = "DELETE FROM t WHERE k % 3 <> 0"
        expected = other.execute(sql).rowcount
        assert write(server, sql)["rows_affected"] == expected, sql
        agree(server, other, "SELECT k, a, b, s FROM t")
        if step == 30:
            server.stop()
            server = serve()
    agree(server, other, "SELECT k, a, b, s FROM u")
