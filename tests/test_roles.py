"""Roles: every route by every role, names that somebody must not learn, what SQL may touch, and limits."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import requests
from conftest import Server, wait_until

VIEW, HIDDEN_VIEW = "meadow", "kestrel_view"
MINE, HIDDEN, ABSENT = "meadow_films", "kestrel_7731", "phantom_0042"
OTHER = "kestrel_9120"  # a second one that is hidden, in memory and with tombstones
CANARIES = ("kestrel", "KESTREL")
ROWS = "id,name\n" + "".join(f"{i},n{i}\n" for i in range(50))
CSV = {"Content-Type": "text/csv"}
DENIED, MISSING, UNKNOWN = 403, 404, 401


def on(name, *rights):
    return {"object": name, "rights": list(rights)}


# What each principal's role grants. Those that end in a word in brackets have no valid token.
ROLES = {
    "none": [],  # its role is removed once it has its token
    "reader": [on(f"dataset:{MINE}", "read_raw")],
    "writer": [on(f"dataset:{MINE}", "write")],
    "tombstoner": [on(f"dataset:{MINE}", "tombstone")],
    "eraser": [on(f"dataset:{MINE}", "erase")],
    "viewer": [on(f"view:{VIEW}", "read"), on("server", "impersonate")],
    "maker": [on("bucket:primary", "write")],
    "operator": [on("server", "admin")],
}
STRANGERS = ("none", "viewer")  # no right on any dataset
RESTRICTED = ("none", "viewer", "reader", "writer", "tombstoner", "eraser")
INVALID = ("nobody", "revoked", "late", "garbage")
EVERYONE = tuple(ROLES) + ("admin",) + INVALID


class World:
    """A server with the datasets, and a token for each principal."""

    def __init__(self, data):
        self.server = Server(data)
        t = self.server
        self.fill()
        for name in (HIDDEN, OTHER):
            t.ingest(name, ROWS)
        assert t.post("/query/cache/pin", json={"dataset": OTHER}).status_code == 200
        for name, base in ((VIEW, MINE), (HIDDEN_VIEW, HIDDEN)):
            view = {"name": name, "base_dataset": base, "columns": ["id", "name"]}
            assert t.post("/catalog/views", json=view).status_code == 201
        self.tokens = {"admin": t.token, "nobody": None, "garbage": "tarn_nonsense"}
        for name, grants in ROLES.items():
            self.tokens[name] = self.role(name, grants)
        assert t.delete("/auth/roles/none").json()["tokens"] == 1
        revoked = self.token(["admin"])
        assert t.delete(f"/auth/tokens/{revoked['id']}").status_code == 200
        self.tokens["revoked"] = revoked["token"]
        self.tokens["late"] = self.token_that_ends_soon()["token"]
        wait_until(lambda: self.ask("late", "GET", "/catalog/datasets").status_code == UNKNOWN)
        document = t.get("/openapi.json").json()
        self.operations = {o["operationId"]: (method.upper(), path, o) for path, item in document["paths"].items()
                           for method, o in item.items()}

    def token_that_ends_soon(self):
        """Its end must be to come when it is made, for which a busy machine takes some time."""
        for seconds in (1, 5, 25):
            soon = datetime.now(timezone.utc) + timedelta(seconds=seconds)
            answer = self.server.post("/auth/tokens", json={"principal": "admin", "roles": ["admin"], "expires_at": soon.isoformat()})
            if answer.status_code == 201:
                break
        assert answer.status_code == 201, answer.text
        return answer.json()

    def fill(self):
        self.server.ingest(MINE, ROWS, mode="replace")

    def put(self, name, grants, **limits):
        answer = self.server.request("PUT", f"/auth/roles/{name}", json={"grants": grants, "limits": limits})
        assert answer.status_code in (200, 201), answer.text

    def token(self, roles, **more):
        answer = self.server.post("/auth/tokens", json={"principal": roles[0], "roles": roles, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def role(self, name, grants, **limits):
        self.put(name, grants, **limits)
        return self.token([name])["token"]

    def ask(self, who, method, path, headers=None, **more):
        text = self.tokens.get(who, who)
        more.setdefault("timeout", 120)
        h = {"Authorization": f"Bearer {text}" if text is not None else None, "X-Request-Id": "the-same", **(headers or {})}
        return requests.request(method, self.server.url + path, headers={k: v for k, v in h.items() if v is not None}, **more)

    def sql(self, who, sql, accept=None, **members):
        return self.ask(who, "POST", "/query/sql", json={"sql": sql, **members}, headers={"Accept": accept})

    def rows(self, who, sql):
        answer = self.sql(who, sql)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("roles") / "data")
    yield world
    world.server.stop()


def telling(answer, *names):
    """What an answer says, with a mark for each of the names: to be compared with that about another name."""
    own = ("Date", "Server-Timing", "X-Tarn-Seq", "X-Tarn-Query") + (("Content-Length",) if answer.status_code == 200 else ())
    head = {k: v for k, v in answer.headers.items() if k not in own}
    text = re.sub(r'"query_id":"\w+"|"elapsed_ms":[\d.]+', "", answer.text)
    for name in names:
        text = text.replace(name, "-" * len(name))
    return answer.status_code, head, text


def assert_silent(answer, *asked_for):
    """No name stands in it that one may not know, but for those that one has said oneself."""
    text = answer.text + str(dict(answer.headers))
    for name in asked_for:
        text = text.replace(name, "")
    for canary in CANARIES:
        assert canary not in text, text


# Every route by every role

# What each operation is sent about a dataset. A new route has its line here.
REQUESTS = {
    "health": {}, "healthOfService": {}, "ready": {}, "version": {}, "metrics": {}, "openapi": {},
    "ingestFile": lambda n: {"params": {"dataset": n, "mode": "append"}, "data": ROWS, "headers": CSV},
    "ingestDelta": lambda n: {"json": {"dataset": n, "mode": "append", "rows": [{"id": 1, "name": "x"}]}},
    "ingestRejects": {}, "listDatasets": {}, "showDataset": {}, "dropDataset": {},
    "renameDataset": {"json": {"to": "meadow_renamed"}},
    "alterColumns": {"json": {"changes": [{"op": "add", "name": "more", "type": "INTEGER"}]}},
    "tombstone": {"json": {"row_key_column": "id", "row_key_values": [1]}},
    "listTombstones": {}, "reportTombstones": {},
    "undoTombstone": {"json": {"row_key_column": "id", "row_key_values": [1]}},
    "listSuppressions": {}, "removeSuppression": {},
    "erase": {"json": {"row_key_column": "id", "row_key_values": [1], "dry_run": True}},
    "listErasures": {}, "showErasure": {}, "showReceipt": {}, "showReceiptKey": {}, "verifyReceipt": {"json": {}},
    "resumeErasure": {},
    "createView": {"json": {"name": "meadow_seen", "base_dataset": MINE, "columns": ["id"], "replace": True}},
    "listViews": {}, "showView": {}, "removeView": {}, "rotateMaskKey": {},
    "preview": {"json": {"view": VIEW, "as": ["reader"]}},
    "querySql": lambda n: {"json": {"sql": f"SELECT count(*) FROM {n}"}},
    "listSnapshots": {}, "rollBack": {"json": {"version": 1}}, "expireSnapshots": {"json": {"dry_run": True}},
    "removeOrphans": {"json": {"dry_run": True}},
    "compact": lambda n: {"json": {"dataset": n}},
    "listQueries": {}, "stopQuery": {},
    "pinDataset": lambda n: {"json": {"dataset": n}}, "evictDataset": lambda n: {"json": {"dataset": n}}, "showCache": {},
    "listRoles": {}, "putRole": {"json": {"grants": []}}, "showRole": {}, "removeRole": {},
    "createToken": {"json": {"principal": "x", "roles": ["admin"]}}, "listTokens": {}, "revokeToken": {},
    "listJobs": {}, "showJob": {}, "stopJob": {}, "watchJob": {},
    "listJournal": {}, "verifyJournal": {},
}
# The rights that a permission asks for, by name.
RIGHTS = {"any": {"read_raw", "write", "tombstone", "erase"}, "by statement": {"read_raw"}}
# What takes a right on the bucket as well.
WITH_BUCKET = {"renameDataset": ("maker", "operator", "admin")}


def rights_on(who, name):
    """The rights that a principal has on a dataset."""
    if who in ("admin", "operator"):
        return {"read_raw", "write", "tombstone", "erase"}
    if who == "maker":
        return {"write"}
    grants = [] if who == "none" else ROLES[who]
    return {right for grant in grants if grant["object"] == f"dataset:{name}" for right in grant["rights"]}


def expected(who, operation, permission, name):
    """The status that must come: a number, or None for whatever else may follow."""
    if permission["object"] == "none":
        return None
    if who in INVALID:
        return UNKNOWN
    if permission == {"object": "server", "right": "impersonate"}:
        # It does not help who may not read the view's base raw.
        return None if who in ("admin", "operator") else MISSING if who == "viewer" else DENIED
    if permission["object"] == "server":
        return None if who in ("admin", "operator") else DENIED
    if permission["object"] == "token":
        return None
    if permission["object"] == "view":
        return None if who in ("admin", "operator") and name != ABSENT or (who, name) == ("viewer", VIEW) else MISSING
    have = rights_on(who, name) if name != ABSENT else set()
    wanted = RIGHTS.get(permission["right"], {permission["right"]})
    if not have:
        return MISSING
    if not have & wanted or who not in WITH_BUCKET.get(operation, (who,)):
        return DENIED
    return None


def send(w, who, operation, name):
    method, path, _ = w.operations[operation]
    request = REQUESTS[operation]
    more = request(name) if callable(request) else dict(request)
    fill = {"service": "query", "name": name, "role": "nosuch", "id": "nosuch"}
    return w.ask(who, method, re.sub(r"\{(\w+)\}", lambda m: fill[m[1]], path), **more)


def test_every_route_has_a_permission_and_a_request_here(w):
    assert set(w.operations) == set(REQUESTS), "give a new route its line in REQUESTS"
    for operation, (_, path, o) in w.operations.items():
        permission = o["x-tarn-permission"]
        assert permission["object"] in ("none", "token", "server", "dataset", "view"), operation
        assert (permission["object"] == "none") == (o.get("security") == []), operation
        if path == "/catalog/views/{name}" and permission["object"] != "server":
            assert permission["object"] == "view" and permission["name"] == "path", operation
        if "/by-name/{name}" in path:
            assert permission["object"] == "dataset" and permission["name"] == "path", operation
        if permission.get("name") == "body":
            assert callable(REQUESTS[operation]), operation


@pytest.mark.parametrize("operation", sorted(REQUESTS))
def test_a_route_does_what_the_role_allows(w, operation):
    permission = w.operations[operation][2]["x-tarn-permission"]
    about = {"dataset": (MINE, HIDDEN, ABSENT), "view": (VIEW, HIDDEN_VIEW, ABSENT)}.get(permission["object"], (MINE,))
    for who in EVERYONE:
        for name in about:
            want = expected(who, operation, permission, name)
            if want is None and name == HIDDEN:
                continue  # it is to stay as it is
            if want is None:
                w.fill()
            answer = send(w, who, operation, name)
            where = (operation, who, name, answer.status_code, answer.text[:300])
            if want is None:
                assert answer.status_code not in (UNKNOWN, DENIED), where
                assert permission["object"] != "dataset" or answer.status_code < 500, where
                assert answer.status_code != MISSING or permission["object"] != "dataset" or name == ABSENT or \
                    "no dataset" not in answer.text, where
            else:
                assert answer.status_code == want, where
            if who in RESTRICTED + INVALID:
                assert_silent(answer, name)
        if permission["object"] == "dataset":
            w.fill()
            if who in RESTRICTED:
                assert telling(send(w, who, operation, HIDDEN), HIDDEN) == telling(send(w, who, operation, ABSENT), ABSENT)


def test_what_is_hidden_is_as_it_was(w):
    for name in (HIDDEN, OTHER):
        shown = w.server.get(f"/catalog/datasets/by-name/{name}").json()
        assert shown["rows"] == 50 and len(shown["snapshots"]) == 1


def test_a_similar_name_is_not_suggested_to_those_who_may_not_know_it(w):
    near = HIDDEN[:-1] + "2"
    for who in RESTRICTED:
        for answer in (w.ask(who, "GET", f"/catalog/datasets/by-name/{near}"), w.sql(who, f"SELECT * FROM {near}"),
                       w.ask(who, "POST", "/query/compact", json={"dataset": near})):
            assert answer.status_code == 404
            assert_silent(answer, near)
    assert f'did you mean "{HIDDEN}"?' in w.ask("admin", "GET", f"/catalog/datasets/by-name/{near}").json()["detail"]
    assert f'did you mean "{MINE}"?' in w.ask("reader", "GET", f"/catalog/datasets/by-name/{MINE}x").json()["detail"]


def test_a_name_may_be_written_in_any_case_by_those_who_may_know_it(w):
    assert w.ask("reader", "GET", f"/catalog/datasets/by-name/{MINE.upper()}").json()["name"] == MINE
    assert w.ask("reader", "GET", f"/catalog/datasets/by-name/{HIDDEN.upper()}").status_code == 404


# Listings

def test_listings_show_what_is_theirs(w):
    for who in RESTRICTED:
        theirs = [] if who in STRANGERS else [MINE]
        assert [d["name"] for d in w.ask(who, "GET", "/catalog/datasets").json()["datasets"]] == theirs
        for path in ("/catalog/datasets", "/catalog/datasets?limit=1", "/catalog/tombstones", "/query/running", "/jobs",
                     "/query/cache/stats"):
            answer = w.ask(who, "GET", path)
            assert answer.status_code == 200
            assert_silent(answer)
    names = [d["name"] for d in w.ask("maker", "GET", "/catalog/datasets").json()["datasets"]]
    assert names == sorted(names) and {MINE, HIDDEN, OTHER} <= set(names)


def test_pages_of_a_listing_tell_of_no_other_name(w):
    w.put("two", [on("dataset:aaa_first", "write"), on("dataset:zzz_last", "read_raw")])
    two = w.token(["two"])["token"]
    for name in ("aaa_first", "zzz_last"):
        w.server.ingest(name, ROWS)
    first = w.ask(two, "GET", "/catalog/datasets?limit=1").json()
    assert [d["name"] for d in first["datasets"]] == ["aaa_first"] and first["next"] == "aaa_first"
    second = w.ask(two, "GET", f"/catalog/datasets?limit=1&cursor={first['next']}").json()
    assert [d["name"] for d in second["datasets"]] == ["zzz_last"] and second["next"] is None


def test_files_and_snapshots_are_for_those_who_may_read(w):
    for who, reads in (("reader", True), ("admin", True), ("writer", False), ("eraser", False)):
        shown = w.ask(who, "GET", f"/catalog/datasets/by-name/{MINE}").json()
        assert ("objects" in shown, "snapshots" in shown) == (reads, reads)
        assert [f["name"] for f in shown["schema"]["fields"]][:2] == ["id", "name"]


def test_the_cache_is_shown_without_what_is_not_theirs(w):
    everything = w.server.get("/query/cache/stats").json()
    assert OTHER in [d["dataset"] for d in everything["datasets"]]
    mine = w.ask("reader", "GET", "/query/cache/stats").json()
    assert {d["dataset"] for d in mine["datasets"]} <= {MINE} and mine["bytes"] < everything["bytes"]


def test_tables_of_system_show_what_is_theirs(w):
    for table in ("snapshots", "files", "tombstones"):
        for who in ("reader", "writer", "tombstoner", "eraser"):
            answer = w.sql(who, f"SELECT * FROM system.{table}")
            assert answer.status_code == 200
            assert {row["dataset"] for row in answer.json()["rows"]} <= {MINE}
            assert_silent(answer)
            named = w.sql(who, f"SELECT * FROM system.{table} WHERE dataset = '{HIDDEN}'")
            assert named.json()["rows"] == []
    assert w.rows("reader", "SELECT DISTINCT dataset FROM system.files") == [{"dataset": MINE}]
    assert w.rows("writer", "SELECT * FROM system.files") == []
    assert w.sql("reader", "SELECT * FROM system.journal").status_code == 403
    assert w.sql("operator", "SELECT * FROM system.journal").status_code == 200
    [one] = w.rows("reader", "SELECT principal FROM system.queries")
    assert one == {"principal": "reader"}


def test_queries_of_others_are_not_there(w):
    slow = {"sql": f"SELECT a.id FROM {MINE} a, range(3000000000)"}
    with w.ask("admin", "POST", "/query/sql", json=slow, stream=True, headers={"Accept": "text/csv"}) as running:
        query = running.headers["X-Tarn-Query"]
        assert query in [q["id"] for q in w.ask("operator", "GET", "/query/running").json()["queries"]]
        wait_until(lambda: w.ask("reader", "GET", "/query/running").json() == {"queries": []})  # those of before have ended
        hidden = w.ask("reader", "DELETE", f"/query/running/{query}")
        absent = w.ask("reader", "DELETE", "/query/running/" + "x" * len(query))
        assert hidden.status_code == 404 and telling(hidden, query) == telling(absent, "x" * len(query))
        assert w.rows("reader", "SELECT query_id FROM system.queries") != [{"query_id": query}]
        assert w.ask("operator", "DELETE", f"/query/running/{query}").status_code == 200
    with w.ask("reader", "POST", "/query/sql", json=slow, stream=True, headers={"Accept": "text/csv"}) as running:
        query = running.headers["X-Tarn-Query"]
        wait_until(lambda: [q["id"] for q in w.ask("reader", "GET", "/query/running").json()["queries"]] == [query])
        assert w.ask("reader", "DELETE", f"/query/running/{query}").status_code == 200


def test_jobs_of_others_are_not_there(w):
    hidden = w.ask("admin", "POST", "/query/compact", json={"dataset": HIDDEN}, headers={"Prefer": "respond-async"}).json()
    mine = w.ask("writer", "POST", "/query/compact", json={"dataset": MINE}, headers={"Prefer": "respond-async"}).json()
    assert [j["id"] for j in w.ask("writer", "GET", "/jobs").json()["jobs"]].count(mine["id"]) == 1
    for who in RESTRICTED:
        answer = w.ask(who, "GET", "/jobs")
        assert hidden["id"] not in answer.text
        assert_silent(answer)
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
            answer = w.ask(who, method, f"/jobs/{hidden['id']}{path}")
            absent = w.ask(who, method, f"/jobs/{'0' * len(hidden['id'])}{path}")
            assert answer.status_code == 404 and telling(answer, hidden["id"]) == telling(absent, "0" * len(hidden["id"]))
    assert w.ask("writer", "GET", f"/jobs/{mine['id']}").json()["id"] == mine["id"]
    assert w.ask("operator", "GET", f"/jobs/{mine['id']}").status_code == 200
    assert w.ask("reader", "GET", f"/jobs/{mine['id']}").status_code == 404


def test_bad_rows_are_for_whoever_sent_them(w):
    w.fill()
    text = "id,name\n" + "".join(f"{i},x\n" for i in range(50)) + "7,y,z\n"
    answer = w.ask("writer", "POST", "/ingest/file", params={"dataset": MINE, "mode": "append", "on_error": "reject"},
                   data=text, headers=CSV)
    assert answer.status_code == 200, answer.text
    url = answer.json()["rejected"]["url"]
    assert "7,y,z" in w.ask("writer", "GET", url).text
    assert "7,y,z" in w.ask("admin", "GET", url).text
    for who in ("reader", "none", "maker"):
        assert telling(w.ask(who, "GET", url)) == telling(w.ask(who, "GET", "/ingest/rejects/nosuch"))


# SQL

SPELLINGS = ("{}", '"{}"', "main.{}", "__raw__{}", '"__RAW__{}"', "{} AT (VERSION => 1)", "{} AS x(a, b)",
             "{} AT (TIMESTAMP => TIMESTAMP '2030-01-01')", "/* */ {} -- x\n", "memory.main.{}", "system.{}", "'{}'")
STATEMENTS = (
    "SELECT * FROM {}", "FROM {}", "TABLE {}", "SELECT 1 WHERE EXISTS (FROM {})", "WITH c AS (SELECT * FROM {}) SELECT * FROM c",
    "WITH c AS MATERIALIZED (FROM {}) SELECT 1", "SELECT (SELECT count(*) FROM {})", "SELECT * FROM range(3) UNION ALL SELECT id FROM {}",
    "SELECT * FROM meadow_films JOIN (FROM {}) USING (id)", "SELECT * FROM meadow_films WHERE id NOT IN (SELECT id FROM {})",
    "SELECT * FROM meadow_films, LATERAL (SELECT * FROM {}) l", "SELECT * FROM (VALUES (1)) v(i) ANTI JOIN (FROM {}) ON true",
    "EXPLAIN SELECT * FROM {}", "DESCRIBE {}", "SUMMARIZE {}", "SHOW TABLES FROM {}", "PIVOT {} ON id USING count(*)",
    "INSERT INTO meadow_films SELECT * FROM {}", "CREATE TABLE meadow_new AS SELECT * FROM {}",
    "CREATE OR REPLACE TABLE meadow_films AS SELECT * FROM {}", "UPDATE meadow_films SET name = (SELECT max(name) FROM {})",
    "DELETE FROM meadow_films WHERE id IN (SELECT id FROM {})", "COPY {} TO '/tmp/x'", "SELECT * FROM query_table('{}')",
    "SELECT * FROM query('FROM {}')", "ATTACH '{}'",
)
TARGETS = (
    "INSERT INTO {} VALUES (1, 'x')", "INSERT INTO {} SELECT * FROM meadow_films", "UPDATE {} SET name = 'x'", "DELETE FROM {}",
    "DELETE FROM {} WHERE id = 1", "DROP TABLE {}", "DROP TABLE IF EXISTS {}", "ALTER TABLE {} ADD COLUMN c INTEGER",
    "ALTER TABLE {} DROP COLUMN name", "ALTER TABLE IF EXISTS {} RENAME TO meadow_x", "ALTER TABLE meadow_films RENAME TO {}",
    "CREATE TABLE {} AS SELECT 1 AS a", "CREATE OR REPLACE TABLE {} AS SELECT 1 AS a", "CREATE TABLE IF NOT EXISTS {} AS SELECT 1 AS a",
    "CREATE VIEW {} AS SELECT 1", "MERGE INTO {} USING meadow_films ON true WHEN MATCHED THEN DELETE", "TRUNCATE {}",
)


@pytest.fixture(scope="module")
def both(w):
    """Somebody who may do everything to a dataset, but not to the others."""
    w.tokens["both"] = w.role("both", [on(f"dataset:{MINE}", "read_raw", "write", "tombstone", "erase")])
    return "both"


@pytest.mark.parametrize("statement", STATEMENTS + TARGETS)
def test_a_statement_says_of_a_hidden_dataset_what_it_says_of_a_missing_one(w, both, statement):
    w.fill()
    spellings = SPELLINGS if statement in STATEMENTS else ("{}", '"{}"', "main.{}", "__raw__{}")
    for spelling in spellings:
        for who in (both, "reader", "none"):
            for change in (str, str.upper):
                told = [telling(w.sql(who, statement.format(spelling.format(change(name)))), name, name.upper())
                        for name in (HIDDEN, ABSENT)]
                assert told[0] == told[1], (who, statement, spelling)
                assert told[0][0] != 200 or "IF EXISTS" in statement, told[0]
                assert not any(canary in told[0][2] for canary in CANARIES), told[0]
    assert w.rows("admin", f"SELECT count(*) AS n, max(name) AS m FROM {HIDDEN}") == [{"n": 50, "m": "n9"}]


@pytest.mark.parametrize("sql", [
    "SHOW TABLES", "SHOW ALL TABLES", "SELECT * FROM information_schema.tables", "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_views()", "SELECT * FROM sqlite_master", "SELECT * FROM pg_catalog.pg_class", "PRAGMA show_tables",
    "PRAGMA database_list", "CALL duckdb_tables()", "SELECT nosuch FROM meadow_films", "SELECT x.id FROM meadow_films",
    "SELECT kes.id FROM meadow_films", "SELECT nosuch(id) FROM meadow_films", "SELECT error(name) FROM meadow_films",
    "SELECT name::INTEGER FROM meadow_films", "SELECT * FROM meadow_films AT (VERSION => 999)", "SELECT * FROM kes",
    "SELECT * FROM read_parquet('tables/**')", "SELECT * FROM glob('*')", "SELECT current_setting('temp_directory')",
    "SELECT * FROM tarn_hot", "INSERT INTO meadow_films VALUES ('x', 1, 2)", "INSERT INTO meadow_films (nosuch) VALUES (1)",
])
def test_no_error_tells_of_other_names(w, both, sql):
    w.fill()
    for who in (both, "reader", "none"):
        answer = w.sql(who, sql)
        shown = sql in ("SHOW TABLES", "SHOW ALL TABLES") and who != "none"
        assert answer.status_code == 200 if shown else 400 <= answer.status_code < 500, answer.text
        assert_silent(answer)
        assert w.server.data not in answer.text


def test_statements_take_their_rights(w):
    w.fill()
    assert w.sql("reader", f"SELECT * FROM {MINE}").status_code == 200
    assert w.sql("reader", f"SELECT * FROM __raw__{MINE}").status_code == 200
    assert w.sql("writer", f"INSERT INTO {MINE} VALUES (1, 'x')").status_code == 200
    for who, sql in (("reader", f"INSERT INTO {MINE} VALUES (1, 'x')"), ("reader", f"DROP TABLE {MINE}"),
                     ("reader", f"ALTER TABLE {MINE} DROP COLUMN name"), ("writer", f"SELECT * FROM {MINE}"),
                     ("writer", f"SELECT * FROM __raw__{MINE}"), ("writer", f"INSERT INTO {MINE} SELECT * FROM {MINE}"),
                     ("writer", f"UPDATE {MINE} SET name = 'x' WHERE id = 1"), ("writer", f"DELETE FROM {MINE} WHERE name > 'n3'"),
                     ("writer", f"ALTER TABLE {MINE} RENAME TO meadow_x"), ("writer", "CREATE TABLE meadow_x AS SELECT 1 AS a"),
                     ("tombstoner", f"DELETE FROM {MINE}"), ("eraser", f"SELECT 1 FROM {MINE}"), ("none", "SELECT 1")):
        answer = w.sql(who, sql)
        assert answer.status_code == 403 and answer.json()["code"] == "permission_denied", (who, sql, answer.text)
    assert w.sql("viewer", "SELECT 1 AS one").json()["rows"] == [{"one": 1}]


def test_who_may_write_a_bucket_makes_datasets_and_reads_none(w):
    assert w.sql("maker", "CREATE TABLE meadow_made AS SELECT 1 AS a").status_code == 200
    assert w.sql("maker", "SELECT * FROM meadow_made").status_code == 403
    answer = w.ask("maker", "POST", "/ingest/file", params={"dataset": "meadow_sent"}, data=ROWS, headers=CSV)
    assert answer.status_code == 201
    assert w.ask("maker", "POST", "/ingest/file", params={"dataset": "meadow_sent", "mode": "replace"}, data=ROWS + "99,z\n",
                 headers=CSV).status_code == 200
    for who in RESTRICTED:
        for mode in ("create", "replace"):
            told = [w.ask(who, "POST", "/ingest/file", params={"dataset": name, "mode": mode}, data=ROWS, headers=CSV)
                    for name in (HIDDEN, ABSENT)]
            assert told[0].status_code == 403 and telling(told[0], HIDDEN) == telling(told[1], ABSENT)
    w.ask("maker", "DELETE", "/catalog/datasets/by-name/meadow_made")
    w.ask("maker", "DELETE", "/catalog/datasets/by-name/meadow_sent")


def test_a_new_name_gives_no_new_rights(w):
    trick = w.role("trick", [on("bucket:primary", "write"), on("dataset:meadow_trap", "read_raw")])
    w.server.ingest("meadow_bait", ROWS)
    for answer in (w.ask(trick, "POST", "/catalog/datasets/by-name/meadow_bait/rename", json={"to": "meadow_trap"}),
                   w.sql(trick, "ALTER TABLE meadow_bait RENAME TO meadow_trap")):
        assert answer.status_code == 403 and "more rights" in answer.json()["detail"]
    assert w.sql(trick, "ALTER TABLE meadow_bait RENAME TO meadow_else").status_code == 200


# Roles and tokens

def test_a_role_is_made_shown_changed_and_removed(w):
    path = "/auth/roles/clerk-1"
    body = {"grants": [on("dataset:*", "read_raw"), on("view:safe", "read"), on("view:*", "read")], "limits": {"rows_max": 5}}
    made = w.server.request("PUT", path, json=body)
    assert made.status_code == 201 and made.json()["grants"] == body["grants"] and made.json()["limits"] == {"rows_max": 5}
    shown = w.server.get(path)
    assert shown.json() == made.json() and shown.headers["ETag"] == made.headers["ETag"]
    assert w.server.get(path, headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    assert w.server.request("PUT", path, json=body, headers={"If-None-Match": "*"}).status_code == 409
    changed = w.server.request("PUT", path, json={}, headers={"If-Match": shown.headers["ETag"]})
    assert changed.status_code == 200 and changed.json()["grants"] == [] and changed.json()["limits"] == {}
    for method, more in (("PUT", {"json": body}), ("DELETE", {})):
        late = w.server.request(method, path, headers={"If-Match": shown.headers["ETag"]}, **more)
        assert late.status_code == 409 and late.json()["code"] == "conflict"
    assert "clerk-1" in [r["role"] for r in w.server.get("/auth/roles").json()["roles"]]
    assert w.server.delete(path).json() == {"role": "clerk-1", "removed": True, "tokens": 0}
    assert w.server.get(path).status_code == w.server.delete(path).status_code == 404
    assert w.server.get("/journal?action=role.*&limit=1").json()["entries"][0]["target"] == "role:clerk-1"


@pytest.mark.parametrize("body, says", [
    ({"grants": [on("table:x", "read_raw")]}, "an object is"), ({"grants": [on("dataset:x", "read")]}, "read_raw, write"),
    ({"grants": [on("dataset:x", "drop")]}, "read_raw, write"), ({"grants": [on("server", "write")]}, "admin, impersonate"),
    ({"grants": [on("dataset:x")]}, "at least one"), ({"grants": [on("bucket:*", "write")]}, "no *"),
    ({"grants": "all"}, "grants"), ({"limits": {"rows": 1}}, "rows"), ({"limits": {"rows_max": 0}}, "rows_max"),
    ({"limits": {"memory": 1}}, "memory"), ({"deny": []}, "deny"), ([], "object"),
])
def test_what_is_unknown_in_a_role_is_400(w, body, says):
    answer = w.server.request("PUT", "/auth/roles/clerk", json=body)
    assert answer.status_code == 400 and says in answer.json()["detail"], answer.text
    assert w.server.get("/auth/roles/clerk").status_code == 404


def test_admin_is_built_in(w):
    shown = w.server.get("/auth/roles/admin").json()
    assert shown["built_in"] and shown["grants"] == [on("server", "admin", "impersonate")]
    for method, more in (("PUT", {"json": {}}), ("DELETE", {})):
        assert w.server.request(method, "/auth/roles/admin", **more).status_code == 403
    assert w.server.request("PUT", "/auth/roles/ADMIN", json={}).status_code == 403
    assert w.server.get("/metrics").status_code == 200


def test_a_role_counts_from_the_next_request_on(w):
    w.fill()
    who = w.role("fickle", [])
    assert w.sql(who, f"SELECT 1 FROM {MINE}").status_code == 404
    w.put("fickle", [on(f"dataset:{MINE}", "write")])
    assert w.sql(who, f"SELECT 1 FROM {MINE}").status_code == 403
    w.put("fickle", [on("dataset:*", "read_raw")])
    assert w.sql(who, f"SELECT 1 FROM {HIDDEN}").status_code == 200
    assert w.server.delete("/auth/roles/fickle").json()["tokens"] == 1
    assert w.sql(who, f"SELECT 1 FROM {HIDDEN}").status_code == 404
    assert w.sql(who, "SELECT 1").status_code == 403
    refused = w.server.post("/auth/tokens", json={"principal": "x", "roles": ["fickle"]})
    assert refused.status_code == 400 and "fickle" in refused.json()["detail"]


def test_grants_of_several_roles_add_up(w):
    w.fill()
    both = w.token(["reader", "writer"])["token"]
    assert w.sql(both, f"UPDATE {MINE} SET name = 'x' WHERE id = 1").status_code == 200
    assert w.sql(both, f"DROP TABLE IF EXISTS {HIDDEN}").status_code == 200
    assert w.server.value(f"SELECT count(*) FROM {HIDDEN}") == 50


def test_roles_outlive_the_server(serve):
    t = serve()
    t.ingest("films", ROWS)
    t.request("PUT", "/auth/roles/clerk", json={"grants": [on("dataset:films", "read_raw")], "limits": {"rows_max": 3}})
    made = t.post("/auth/tokens", json={"principal": "ann", "roles": ["clerk"]}).json()
    t.stop()
    t = serve()
    answer = t.query("SELECT * FROM films", headers={"Authorization": f"Bearer {made['token']}"})
    assert answer.status_code == 200 and answer.json()["row_count"] == 3
    assert t.query("DROP TABLE films", headers={"Authorization": f"Bearer {made['token']}"}).status_code == 403


def test_a_role_that_another_server_changed_counts_here(serve):
    one, two = serve("--catalog-poll-interval", "20ms"), serve("--catalog-poll-interval", "20ms")
    one.ingest("films", ROWS)
    one.request("PUT", "/auth/roles/clerk", json={"grants": [on("dataset:films", "read_raw")]})
    made = one.post("/auth/tokens", json={"principal": "ann", "roles": ["clerk"]}).json()
    who = {"Authorization": f"Bearer {made['token']}"}
    wait_until(lambda: two.query("SELECT 1 FROM films", headers=who).status_code == 200)
    one.delete("/auth/roles/clerk")
    wait_until(lambda: two.query("SELECT 1 FROM films", headers=who).status_code == 404)


# Limits

def test_no_answer_has_more_rows_than_the_role_allows(w):
    who = w.role("few", [on(f"dataset:{MINE}", "read_raw")], rows_max=7)
    w.fill()
    for members in ({}, {"rows_max": 20}, {"rows_max": 7}):
        answer = w.sql(who, f"SELECT * FROM {MINE}", **members).json()
        assert answer["row_count"] == len(answer["rows"]) == 7 and answer["truncated"] is True
    assert "role" in w.sql(who, f"SELECT * FROM {MINE}").json()["hint"]
    less = w.sql(who, f"SELECT * FROM {MINE}", rows_max=3).json()
    assert less["row_count"] == 3 and less["truncated"] and "raise it" in less["hint"]
    assert w.sql(who, f"SELECT * FROM {MINE} LIMIT 7").json()["truncated"] is False
    for accept in ("text/csv", "application/x-ndjson", "text/tab-separated-values", "application/vnd.apache.arrow.stream"):
        cut = w.sql(who, f"SELECT * FROM {MINE}", accept=accept)
        assert cut.headers["X-Tarn-Rows-Max"] == "7"
    assert len(w.sql(who, f"SELECT * FROM {MINE}", accept="text/csv").text.splitlines()) == 8
    wider = w.token(["few", "reader"])["token"]
    assert w.sql(wider, f"SELECT * FROM {MINE}").json()["row_count"] == 50


@pytest.mark.parametrize("most", [1, 20, 21, 100, 777, 5000, 100000])
def test_no_answer_has_more_bytes_than_the_role_allows(w, most):
    who = w.role("small", [on(f"dataset:{MINE}", "read_raw")], bytes_max=most)
    sql = "SELECT i, repeat('x', i % 40) AS s FROM range(4000) r(i)"
    full = w.server.query(sql, format="arrays").json()["rows"]
    answer = w.sql(who, sql, format="arrays")
    assert answer.status_code == 200
    got = answer.json()
    assert got["rows"] == full[:got["row_count"]] and got["truncated"] is (got["row_count"] < 4000)
    sizes = [len(f'[{i},"{s}"]') + (1 if n > 0 else 0) for n, (i, s) in enumerate(full)]
    assert sum(sizes[:got["row_count"]]) <= most
    if got["truncated"]:
        assert sum(sizes[:got["row_count"] + 1]) > most and "bytes" in got["hint"]


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"])
def test_a_stream_that_is_too_large_is_refused_or_breaks_off(w, accept):
    sql = "SELECT i, 'some text' AS s FROM range(300000) r(i)"
    for most in (1000, 600000):
        who = w.role("small", [on(f"dataset:{MINE}", "read_raw")], bytes_max=most)
        fits = w.sql(who, f"SELECT * FROM {MINE} WHERE id < 3", accept=accept)
        assert fits.status_code == 200 and fits.headers["X-Tarn-Bytes-Max"] == str(most) and fits.content
        if most == 1000:  # it is known before anything goes out
            refused = w.sql(who, sql, accept=accept)
            assert refused.status_code == 413 and refused.json()["code"] == "too_large" and "1000 bytes" in refused.text
            continue
        with pytest.raises(requests.exceptions.RequestException):
            print(len(w.sql(who, sql, accept=accept).content))


def test_a_query_has_the_time_that_the_role_allows(w):
    who = w.role("hurried", [on(f"dataset:{MINE}", "read_raw")], time_ms=100)
    answer = w.sql(who, f"SELECT count(*) FROM {MINE} a, range(100000000000) r(i) WHERE i % 7 = a.id")
    assert answer.status_code == 504 and answer.json()["code"] == "deadline_exceeded"
    wait_until(lambda: w.sql(who, f"SELECT count(*) FROM {MINE}").status_code == 200)  # in time, on a machine that has others to serve


def test_a_principal_has_as_many_queries_at_once_as_the_role_allows(w):
    who = w.role("single", [on(f"dataset:{MINE}", "read_raw")], queries_max=2)
    slow = {"sql": "SELECT * FROM range(3000000000)"}
    more = {"json": slow, "stream": True, "headers": {"Accept": "text/csv"}}
    with w.ask(who, "POST", "/query/sql", **more) as one, w.ask(who, "POST", "/query/sql", **more) as two:
        assert one.status_code == two.status_code == 200
        third = w.sql(who, "SELECT 1")
        assert third.status_code == 429 and third.json()["code"] == "limit_exceeded" and int(third.headers["Retry-After"]) >= 1
        assert w.sql("reader", "SELECT 1").status_code == 200  # others are not in the way
    wait_until(lambda: w.sql(who, "SELECT 1").status_code == 200)


def test_many_at_once_are_never_more_than_allowed(w):
    who = w.role("crowd", [on(f"dataset:{MINE}", "read_raw")], queries_max=1)
    w.fill()
    start = threading.Barrier(12)

    def ask(_):
        start.wait()
        return w.sql(who, f"SELECT count(*) FROM {MINE}").status_code

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(ask, range(12)))
    assert set(codes) <= {200, 429} and 200 in codes
