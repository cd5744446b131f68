"""An agent writes whatever it likes and sees what its view shows, nothing else: no hidden row or column, no true value."""

import csv
import io
import json
import pathlib

import pytest

import arrow
from agent_world import (HIDDEN_NAME, OTHER_VIEW, SHAPES, SLOW, World, each, is_deleted, is_tombstoned, telling)
from canary import parts, read_corpus
from engine import Engine

CORPUS = read_corpus("hostile")
STATUSES = {200, 400, 403, 404, 408, 413, 422, 503, 504}
FORMATS = ["text/csv", "application/x-ndjson", "text/tab-separated-values", "application/vnd.apache.arrow.stream"]
SHAPE_LIST = list(SHAPES)[::4] if SLOW else list(SHAPES)


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("hostile"))
    yield world
    world.server.stop()


def words_of(answer):
    """An answer as bytes in which canaries are looked for."""
    said = answer.all()
    if answer.status == 200 and b"arrow" in said.split(b"\n\n", 1)[0]:
        said += repr(arrow.Stream(answer.body).rows).encode()
    return said


def leaks(w, hidden, answer, sent):
    """What an answer has that it must not have: canaries, hidden names, places on the disk."""
    said = words_of(answer)
    found = sorted(hidden.found(said, sent))
    for name in (HIDDEN_NAME, w.server.data):
        if name.encode() in said and name.lower().encode() not in sent.lower():
            found.append(name)
    return found


# The world

def test_an_admin_sees_the_canaries_that_an_agent_must_not_see(w):
    for shape in SHAPES:
        hidden = w.hidden_from(shape)
        for base in (w.a, w.bases[shape]):
            answer = w.admin.sql(f"SELECT * FROM {base.name}")
            assert answer.status == 200 and len(hidden.found(answer.body)) > 1000
            assert len(leaks(w, hidden, w.admin.sql(f"SELECT phone FROM {base.name}", accept=FORMATS[3]), b"")) > 20


@pytest.mark.parametrize("shape", SHAPES)
def test_a_view_shows_the_rows_that_it_is_to_show(w, shape):
    rows = w.shown(shape)
    for side in "ab":
        got = {r["n"]: r for r in w.agents[shape].rows(f"SELECT n, id, name, note, salary, bonus, ssn, card FROM v_{shape}_{side}")}
        assert set(got) == set(rows) and 20 < len(rows) < 290
        for n, r in got.items():
            assert (r["id"], r["name"], r["note"]) == tuple(rows[n][c] for c in ("id", "name", "note"))
            assert (r["salary"], r["bonus"], r["card"]) == (None, 0, "******" + rows[n]["card"][-4:])
    hidden = set(w.a.rows) - set(rows)
    assert {n for n in w.a.rows if is_tombstoned(n) or is_deleted(n)} <= hidden
    assert w.values(shape)["hid"] in hidden and w.values(shape)["hid"] not in w.bases[shape].rows


# Statements

def judge(w, hidden, statement, sent, answer):
    """What is wrong with an answer, or nothing."""
    if answer.status not in STATUSES:
        return f"status {answer.status}: {answer.text()[:300]}"
    if statement.expected == "refused" and not 400 <= answer.status < 500:
        return f"it was to be refused: {answer.status} {answer.text()[:300]}"
    if statement.expected == "ok" and answer.status != 200:
        return f"it was to be answered: {answer.status} {answer.text()[:300]}"
    found = leaks(w, hidden, answer, sent)
    return f"it shows {found[:5]}: {answer.text()[:1000]}" if found else None


def told_apart(w, shape, statement, sent, answer):
    """How a statement's answer depends on what the view hides, or nothing."""
    agent, twin = w.agents[shape], w.statement(statement.text, shape, "b")
    names = (w.a.name, f"v_{shape}_a", w.bases[shape].name, f"v_{shape}_b")
    one, other = telling(answer, *names), telling(agent.sql(twin), *names)
    if one == other:
        return None
    # Threads may meet another row first that a cast fails on: what can be answered must be the same.
    answers, others = [answer] + [agent.sql(sent) for _ in range(3)], [agent.sql(twin) for _ in range(4)]
    if {repr(telling(x, *names)) for x in answers} & {repr(telling(x, *names)) for x in others}:
        return None
    kinds, other_kinds = ({(x.status, x.code()) for x in some} for some in (answers, others))
    failed = 200 not in {status for status, _ in kinds}
    if (failed and kinds == other_kinds) or {503, 504} & {status for status, _ in kinds | other_kinds}:
        return None
    return f"it tells the bases apart: {str(one)[:1500]}\n  and {str(other)[:1500]}"


@pytest.mark.parametrize("shape", SHAPE_LIST)
def test_no_statement_shows_what_is_hidden_and_none_tells_two_bases_apart_that_look_the_same(w, shape):
    agent, hidden, failures = w.agents[shape], w.hidden_from(shape), []

    def ask(statement):
        sent = w.statement(statement.text, shape)
        answer = agent.sql(sent)
        wrong = judge(w, hidden, statement, sent, answer)
        if not wrong and statement.expected != "refused" and "varies" not in statement.flags:
            wrong = told_apart(w, shape, statement, sent, answer)
        if wrong:
            failures.append(f"{statement}\n  {sent[:500]!r}\n  {wrong}")

    with w.log_since() as lines:
        each(ask, CORPUS[::12] if SLOW else CORPUS)
    assert not failures, f"{len(failures)} failed\n" + "\n".join(failures[:10])
    assert not w.all.found("".join(lines), "".join(str(v) for v in w.values(shape).values()))


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("shape", ["outside", "deleted"])
def test_no_format_shows_what_is_hidden(w, shape, accept):
    agent, hidden = w.agents[shape], w.hidden_from(shape)
    sample = [s for s in CORPUS if s.expected == "any"][FORMATS.index(accept)::len(FORMATS) * (8 if SLOW else 1)]

    def ask(statement):
        sent = w.statement(statement.text, shape)
        return statement, sent, agent.sql(sent, accept=accept)

    for statement, sent, answer in each(ask, sample):
        assert not judge(w, hidden, statement, sent, answer), (str(statement), sent[:500])


def test_an_older_time_shows_what_the_view_shows_then(w):
    for shape in ("equality", "deleted"):
        hidden, tombstoned = w.hidden_from(shape, older=True), {n for n in w.a.rows if is_tombstoned(n)}
        for at in ("VERSION => 1", "VERSION => 2", "VERSION => 3", "TIMESTAMP => TIMESTAMP '2999-01-01'"):
            sent = f"SELECT * FROM v_{shape}_a AT ({at})".encode()
            answer = w.agents[shape].sql(sent)
            assert not leaks(w, hidden, answer, sent), answer.text()[:500]
            if answer.status == 200:
                rows = answer.json()["rows"]
                assert rows and not tombstoned & {r["n"] for r in rows} and {r["salary"] for r in rows} == {None}


# Other doors

def test_no_reading_route_tells_an_agent_of_more(w):
    agent, hidden = w.agents["equality"], w.hidden_from("equality")
    document = json.loads(agent.send("GET", "/openapi.json").body)
    asked = 0
    for path, item in document["paths"].items():
        for method in ("get", "delete"):
            if method not in item or (method == "delete" and "/by-name/" not in path):
                continue
            for name in (w.a.name, OTHER_VIEW, "v_equality_a", "v_quoted"):
                if method == "delete" and name.startswith("v_"):
                    continue
                to = path
                for part in ("name", "role", "id", "view", "service"):
                    to = to.replace("{" + part + "}", "query" if part == "service" else name)
                answer = agent.send(method.upper(), to)
                asked += 1
                assert answer.status < 500, (method, to, answer.text())
                assert not leaks(w, hidden, answer, to.encode()), (method, to, answer.text())
                if name in (w.a.name, OTHER_VIEW) and name in to:
                    assert answer.status in (403, 404), (method, to, answer.text())
    assert asked > 60


def test_no_writing_route_does_anything_for_an_agent(w):
    agent, hidden, base = w.agents["equality"], w.hidden_from("equality"), w.a.name
    about = f"/catalog/datasets/by-name/{base}"
    everything = [{"object": f"dataset:{base}", "rights": ["read_raw"]}]
    for method, path, body in [
            ("POST", "/catalog/views", {"name": "mine", "base_dataset": base, "columns": ["n", "phone"]}),
            ("POST", "/catalog/views", {"name": "mine", "base_dataset": "v_equality_a", "columns": ["n", "phone"]}),
            ("POST", "/catalog/views", {"name": "v_equality_a", "base_dataset": base, "columns": ["n", "phone"]}),
            ("POST", "/catalog/views", {"name": "mine", "base_dataset": base, "columns": ["n"], "row_filter": "phone::INT > 0"}),
            ("DELETE", "/catalog/views/v_equality_a", None), ("DELETE", f"/catalog/views/{OTHER_VIEW}", None),
            ("POST", "/query/preview", {"sql": f"SELECT * FROM {base}", "as": ["agent_equality"]}),
            ("POST", "/query/preview", {"dataset": base, "as": ["agent_equality"]}),
            ("POST", "/query/preview", {"sql": "SELECT * FROM v_equality_a", "as": ["admin"]}),
            ("PUT", "/auth/roles/agent_equality", {"grants": everything}), ("DELETE", "/auth/roles/agent_equality", None),
            ("POST", "/auth/tokens", {"principal": "x", "roles": ["admin"]}), ("GET", "/auth/tokens", None), ("GET", "/auth/roles", None),
            ("POST", f"/ingest/file?dataset={base}&mode=append", {"n": 1}), ("POST", "/ingest/file?dataset=v_equality_a&mode=append", {}),
            ("POST", "/ingest/delta", {"dataset": base, "mode": "upsert", "key": "n", "rows": [{"n": 1}]}),
            ("POST", "/ingest/delta", {"dataset": "v_equality_a", "mode": "delete", "key": "n", "rows": [{"n": 25}]}),
            ("DELETE", about, None), ("DELETE", "/catalog/datasets/by-name/v_equality_a", None),
            ("POST", about + "/tombstone", {"row_key_column": "n", "row_key_values": [25]}), ("GET", about + "/tombstone", None),
            ("POST", about + "/erase", {"row_key_column": "n", "row_key_values": [25]}), ("POST", about + "/rename", {"to": "mine"}),
            ("POST", about + "/columns", {"changes": [{"op": "drop", "name": "closed_at"}]}),
            ("POST", "/query/compact", {"dataset": base}), ("POST", "/query/cache/pin", {"dataset": base}),
            ("POST", "/query/cache/evict", {"dataset": base}), ("GET", "/journal", None), ("GET", "/journal/verify", None)]:
        data = json.dumps(body)
        answer = agent.send(method, path, data, Content_Type="application/json")
        assert 400 <= answer.status < 500, (method, path, answer.status, answer.text())
        assert not leaks(w, hidden, answer, (path + data).encode()), (method, path, answer.text())
    assert {r["n"] for r in agent.rows("SELECT n FROM v_equality_a")} == set(w.shown("equality"))


def test_an_agent_is_told_of_its_views_and_not_of_their_filters(w):
    agent = w.agents["equality"]
    mine = {"v_equality_a", "v_equality_b", "v_local", "v_orders", "v_quoted"}
    listed = {v["name"] for v in agent.send("GET", "/catalog/views").json()["views"]}
    assert listed == mine
    for row in agent.rows("SHOW TABLES"):
        assert row["name"] in mine
    assert w.quoted not in agent.send("GET", "/catalog/views/v_quoted").text()
    assert w.quoted not in agent.send("GET", "/catalog/views").text()
    assert agent.send("GET", f"/catalog/views/{OTHER_VIEW}").status == 404
    assert agent.rows("SELECT count(*) AS c FROM v_quoted") == [{"c": len([n for n in w.a.live() if n > 3])}]
    for sql in ("SELECT name FROM v_quoted", "DESCRIBE v_quoted", "EXPLAIN SELECT n FROM v_quoted", "SUMMARIZE v_quoted",
                "SELECT name::INT FROM v_quoted", "SELECT n::VARCHAR::UUID FROM v_quoted"):
        assert not leaks(w, w.hidden_from("equality"), agent.sql(sql), sql.encode())


def test_an_agent_sees_no_statement_of_others_while_it_runs_or_after(w):
    agent, secret = w.agents["regex"], next(iter(w.a.canaries("phone")))
    slow = f"SELECT a.n, '{secret}' AS s FROM {w.a.name} a, range(3000000000)"
    with w.server.post("/query/sql", json={"sql": slow}, stream=True, headers={"Accept": "text/csv"}) as running:
        query = running.headers["X-Tarn-Query"]
        for path in ("/query/running", f"/query/running/{query}", "/jobs", "/metrics", "/query/cache/stats", "/journal"):
            answer = agent.send("GET", path)
            assert not leaks(w, w.all, answer, b"") and query not in answer.text().replace(path, ""), path
        assert agent.send("DELETE", f"/query/running/{query}").status == 404
        own = agent.rows("SELECT * FROM system.queries")
        assert {r["principal"] for r in own} == {"agent_regex"}
        assert w.server.delete(f"/query/running/{query}").status_code == 200
    assert not leaks(w, w.all, agent.sql("SELECT * FROM system.queries"), b"")


def test_what_fails_in_a_body_of_json_is_silent_too(w):
    agent, hidden = w.agents["modulo"], w.hidden_from("modulo")
    sql = f"SELECT name::INT FROM v_modulo_a WHERE n = {w.values('modulo')['hid']} OR n > 0"
    for body in ({"sql": sql}, {"sql": sql, "format": "arrays"}, {"sql": sql + "\0"}, {"sql": sql, "phone": 1},
                 {"sql": "\0" + sql}, {"sql": [sql]}, {"sql": f"SELECT phone FROM {w.a.name}", "rows_max": 3}, {"sql": None}):
        answer = agent.send("POST", "/query/sql", json.dumps(body), Content_Type="application/json")
        assert 400 <= answer.status < 500
        assert not leaks(w, hidden, answer, json.dumps(body).encode()), answer.text()


def test_the_same_name_is_missing_whether_it_is_hidden_or_not_there(w):
    agent = w.agents["like"]
    absent = w.a.name.replace(HIDDEN_NAME, "ostler")
    for sql in ("SELECT * FROM {}", "SELECT phone FROM {}", "DESCRIBE {}", "SUMMARIZE {}", "EXPLAIN SELECT * FROM {}",
                "SELECT * FROM __raw__{}", "SELECT * FROM {} AT (VERSION => 1)", "SELECT n FROM v_like_a JOIN {} USING (n)"):
        one, other = agent.sql(sql.format(w.a.name)), agent.sql(sql.format(absent))
        assert 400 <= one.status < 500
        assert telling(one, w.a.name) == telling(other, absent)


# Filters that fail on a row that they are to hide.
FAILING = ["note::INTEGER > 0", "strptime(phone, '%Y') IS NOT NULL", "chr(qty - 5) <> phone", "(email || phone)::UUID IS NOT NULL",
           "regexp_matches('a', phone || '(')", "json_extract(name, '$.a') IS NULL", "secret * secret > 0",
           "date_trunc(phone, born) IS NULL", "CASE WHEN n % 4 = 0 THEN phone::DATE > born ELSE true END",
           "n IN (SELECT name::INTEGER FROM {base})", "(SELECT max(phone)::BIGINT FROM {base}) > n"]


def test_a_filter_that_fails_on_a_row_says_nothing_of_the_row(w):
    names = [f"v_failing_{i}" for i in range(len(FAILING))]
    agent, refused = w.new_agent("agent_failing", names), 0
    with w.log_since() as lines:
        for name, condition in zip(names, FAILING):
            answer = w.server.post("/catalog/views", json={
                "name": name, "base_dataset": w.a.name, "columns": ["n", "qty"], "row_filter": condition.format(base=w.a.name)})
            assert answer.status_code in (201, 422), answer.text
            for sql in ("SELECT * FROM {}", "SELECT count(*) FROM {} WHERE n < 4", "DESCRIBE {}", "EXPLAIN SELECT n FROM {}"):
                said = agent.sql(sql.format(name))
                assert said.status < 500 or said.status in (503, 504), said.text()
                assert not leaks(w, w.all, said, b""), said.text()
                refused += answer.status_code == 201 and said.status != 200
            assert not w.all.found(w.admin.sql(f"SELECT * FROM {name}").all())
            w.server.delete(f"/catalog/views/{name}")
    assert refused > 4
    assert not w.all.found("".join(lines))


def rows_that_a_shape_may_show(w):
    """Of each shape the pairs of number and name that its view shows, or has shown at an older version."""
    versions = [(n, r) for n, r in (*w.a.rows.items(), *w.a.changes.items()) if not is_tombstoned(n)]
    twins = {shape: [(n, r) for n, r in (*b.rows.items(), *b.changes.items()) if not is_tombstoned(n)] for shape, b in w.bases.items()}
    return [{(str(n), r["name"]) for n, r in versions + twins[shape] if SHAPES[shape][1](r)} for shape in SHAPES]


def test_masked_files_hold_what_is_shown_and_nothing_else(w, tmp_path):
    """Their rows, their statistics, and their bytes."""
    for shape in SHAPE_LIST:
        w.agents[shape].rows(f"SELECT * FROM v_{shape}_a")
    may, seen = rows_that_a_shape_may_show(w), set()
    shown = {p for base in (w.a, *w.bases.values()) for value in base.canaries("id", "name", "note", "tags", "dims") for p in parts(value)}
    files = sorted((pathlib.Path(w.server.data) / "cache" / "masked").rglob("*.parquet"))
    assert len(files) >= len(SHAPE_LIST)
    engine, out = Engine(), tmp_path / "said.csv"
    try:
        for path in files:
            for sql in (f"FROM read_parquet('{path}')", f"FROM parquet_metadata('{path}')", f"FROM parquet_kv_metadata('{path}')",
                        f"FROM parquet_schema('{path}')"):
                engine.run(f"COPY ({sql}) TO '{out}'")
                said = out.read_text(encoding="utf-8")
                assert not w.all.found(said) - shown, (sql, said[:500])
                rows = list(csv.DictReader(io.StringIO(said)))
                if "FROM read_parquet" in sql and rows and "name" in rows[0]:
                    pairs = {(r["n"], r["name"]) for r in rows}
                    assert any(pairs <= some for some in may), path
                    seen |= pairs
            assert not w.all.found(path.read_bytes()) - shown
    finally:
        engine.close()
    for shape in SHAPE_LIST:
        assert {(str(n), r["name"]) for n, r in w.shown(shape).items()} <= seen


def test_the_log_of_the_catalog_holds_no_value(w):
    for sql in ("SELECT phone, secret FROM {}", "SELECT name::INT FROM {}"):
        w.admin.sql(sql.format(w.a.name))
    catalog = pathlib.Path(w.server.data) / "primary" / "_catalog"
    files = [path for folder in ("log", "checkpoint") for path in (catalog / folder).glob("*")]  # a short log has no checkpoint
    assert files
    for path in files:
        assert not w.all.found(path.read_bytes()), path
    assert not w.all.found(w.server.get("/journal?limit=1000").text)


def test_no_part_of_a_hidden_value_lies_in_what_an_agent_may_keep(w):
    """Everything that an agent is shown of all its views, at once."""
    for shape in SHAPE_LIST:
        said = w.agents[shape].sql(f"SELECT * FROM v_{shape}_a").body
        shown = {p for r in w.shown(shape).values() for c in ("id", "name", "note") for p in parts(r[c])}
        assert parts(said) & w.all.parts and shown <= parts(said)
        assert not w.hidden_from(shape).found(said)
