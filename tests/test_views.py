"""Views: made, listed, shown, changed and removed; versions, names, rights, and definitions that are refused."""

import glob
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from conftest import Server, wait_until

PEOPLE = "id,name,email,status,born\n1,Ann,ann@example.org,ok,2001-02-03\n2,Bob,bob@example.org,blocked,1999-12-31\n"
CSV = {"Content-Type": "text/csv"}
FILTER = "status != 'blocked' AND name != 'Zaphod Beeblebrox'"
BODY = {"name": "safe", "base_dataset": "people", "columns": ["id", "name", "email"], "row_filter": FILTER,
        "column_redactions": {"email": "hash", "name": {"mask": {"keep_prefix": 1, "keep_suffix": 0}}}}
PATH = "/catalog/views/safe"


def ask(t, token, method, path, **more):
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "the-same", **more.pop("headers", {})}
    return requests.request(method, t.url + path, headers=headers, timeout=120, **more)


def make(t, **members):
    answer = t.post("/catalog/views", json={**BODY, **members})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def told(answer, name=None):
    """What an answer says, to be compared with that about another name."""
    head = {k: v for k, v in answer.headers.items() if k not in ("Date", "X-Tarn-Seq", "Server-Timing", "X-Tarn-Query")}
    return answer.status_code, head, answer.text.replace(name, "-" * len(name)) if name else answer.text


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("views") / "data")
    server.ingest("people", PEOPLE)
    yield server
    server.stop()


@pytest.fixture
def t(module):
    """The server, without views and with the base as it was."""
    yield module
    for view in module.get("/catalog/views").json()["views"]:
        assert module.delete(f"/catalog/views/{view['name']}").status_code == 200
    for dataset in module.get("/catalog/datasets").json()["datasets"]:
        if dataset["name"] != "people":
            module.delete(f"/catalog/datasets/by-name/{dataset['name']}")


# The life of a view

def test_a_view_is_made_shown_changed_and_removed(t):
    made = t.post("/catalog/views", json=BODY)
    assert made.status_code == 201
    body = made.json()
    assert body == {
        "name": "safe", "version": 1, "base_dataset": "people", "row_filter": FILTER, "column_redactions": BODY["column_redactions"],
        "columns": [{"name": "id", "masked": False}, {"name": "name", "masked": True}, {"name": "email", "masked": True}],
        "author": "admin", "created_at": body["created_at"], "updated_at": body["created_at"],
        "versions": [{"version": 1, "author": "admin", "updated_at": body["created_at"]}]}
    shown = t.get(PATH)
    assert shown.json() == body and shown.headers["ETag"] == made.headers["ETag"]
    assert t.get(PATH, headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    listed = t.get("/catalog/views").json()
    assert listed == {"views": [{k: body[k] for k in ("name", "version", "columns", "base_dataset")}], "next": None}

    again = t.post("/catalog/views", json=BODY)
    assert again.status_code == 409 and again.json()["code"] == "already_exists" and '"replace": true' in again.json()["detail"]
    late = t.post("/catalog/views", json={**BODY, "replace": True}, headers={"If-None-Match": "*"})
    assert late.status_code == 409
    changed = t.post("/catalog/views", json={"name": "SAFE", "base_dataset": "people", "columns": ["id"], "replace": True},
                     headers={"If-Match": shown.headers["ETag"]})
    assert changed.status_code == 200 and changed.json()["name"] == "safe"
    now = t.get(PATH).json()
    assert now["version"] == 2 and now["row_filter"] is None and now["column_redactions"] == {}
    assert [v["version"] for v in now["versions"]] == [2, 1] and now["created_at"] == body["created_at"]
    for method, path, more in (("POST", "/catalog/views", {"json": {**BODY, "replace": True}}), ("DELETE", PATH, {})):
        stale = t.request(method, path, headers={"If-Match": shown.headers["ETag"]}, **more)
        assert stale.status_code == 409 and stale.json()["code"] == "conflict"
    assert t.delete(PATH).json() == {"view": "safe", "removed": True}
    assert t.get(PATH).status_code == t.delete(PATH).status_code == 404
    assert t.get(PATH).json()["detail"] == 'no view "safe"'


def test_earlier_versions_can_be_read(t):
    first = make(t)
    make(t, columns=["id", "status"], column_redactions={}, row_filter=None, replace=True)
    assert t.get(PATH + "?version=1").json() == {k: v for k, v in first.items() if k != "versions"}
    second = t.get(PATH, params={"version": 2}).json()
    assert [c["name"] for c in second["columns"]] == ["id", "status"]
    assert t.get(PATH + "?version=3").status_code == 404
    assert t.get(PATH + "?version=0").status_code == t.get(PATH + "?version=x").status_code == 400
    t.delete(PATH)
    make(t)
    assert t.get(PATH).json()["version"] == 1 and t.get(PATH + "?version=2").status_code == 404


def test_views_outlive_the_server(serve):
    t = serve()
    t.ingest("people", PEOPLE)
    make(t)
    make(t, columns=["name", "email"], replace=True)
    before, first = t.get(PATH).json(), t.get(PATH + "?version=1").json()
    t.stop()
    t = serve()
    assert t.get(PATH).json() == before and t.get(PATH + "?version=1").json() == first


def test_views_are_listed_page_by_page(t):
    names = ["Able", "able2", "b", "c_3", "z"]
    for name in reversed(names):
        make(t, name=name)
    found, cursor = [], None
    while cursor is not None or not found:
        page = t.get("/catalog/views", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["views"]) <= 2
        found += [v["name"] for v in page["views"]]
        cursor = page["next"]
    assert found == names
    assert [d["name"] for d in t.get("/catalog/datasets").json()["datasets"]] == ["people"]


def test_another_server_sees_a_view_and_its_changes(serve):
    one, two = serve("--catalog-poll-interval", "20ms"), serve("--catalog-poll-interval", "20ms")
    one.ingest("people", PEOPLE)
    made = make(one)
    wait_until(lambda: two.get(PATH).status_code == 200)
    assert two.get(PATH).json() == made
    for number in range(2, 12):
        make(one, replace=True)
        seq = one.get(PATH).headers["X-Tarn-Seq"]
        assert two.get(PATH, headers={"X-Tarn-Seq": seq}).json()["version"] == number
    one.delete(PATH)
    wait_until(lambda: two.get(PATH).status_code == 404)


# The journal

def test_the_journal_tells_of_views_and_nothing_of_their_filters(serve):
    t = serve()
    t.ingest("people", PEOPLE)
    assert t.post("/catalog/views?reason=ticket+9", json=BODY).status_code == 201
    [entry] = [e for e in t.told(action="view.*")]
    assert (entry["action"], entry["target"], entry["actor"], entry["reason"]) == ("view.put", "view:safe", "admin", "ticket 9")
    assert entry["details"] == {"number": 1, "base": "people", "columns": 3, "masked": 2}
    assert entry["changes"] == [{"entity": "view:safe", "change": "created"}]
    assert t.delete(PATH + "?reason=over").status_code == 200
    assert t.told(action="view.remove")[0]["changes"] == [{"entity": "view:safe", "change": "removed"}]
    assert t.post("/catalog/views", json={**BODY, "columns": ["nosuch"]}).status_code == 400
    wait_until(lambda: any(e["outcome"] == "invalid_argument" and e["target"] == "view:safe" for e in t.told(action="view.put")))
    assert t.get("/journal/verify").json()["good"] is True
    t.stop()
    texts = [open(path, encoding="utf-8").read() for path in glob.glob(t.data + "/primary/_catalog/**/*.json", recursive=True)]
    assert len(texts) > 3 and any("view:safe" in text for text in texts)
    for text in texts + [t.log]:
        assert "Zaphod" not in text


# Rights

MINE, HIDDEN, ABSENT = "meadow", "kestrel", "phantom"


@pytest.fixture
def who(t):
    """A token for each kind of principal; the views meadow and kestrel are there."""
    make(t, name=MINE)
    make(t, name=HIDDEN)
    return {"admin": t.token, "operator": t.let_in("operator", {"server": ["admin"]}),
            "agent": t.let_in("agent", {f"view:{MINE}": ["read"]}), "every": t.let_in("every", {"view:*": ["read"]}),
            "owner": t.let_in("owner", {"dataset:people": ["read_raw", "write", "tombstone", "erase"]}),
            "maker": t.let_in("maker", {"bucket:primary": ["write"]}), "seer": t.let_in("seer", {"server": ["impersonate"]}),
            "both": t.let_in("both", {f"view:{MINE}": ["read"], "bucket:primary": ["write"]}), "none": t.let_in("none", {})}


SEES = {"admin": (MINE, HIDDEN), "operator": (MINE, HIDDEN), "every": (MINE, HIDDEN), "agent": (MINE,), "both": (MINE,)}


def test_everybody_sees_the_views_that_they_may_read(t, who):
    for name, token in who.items():
        views = ask(t, token, "GET", "/catalog/views").json()["views"]
        assert sorted(v["name"] for v in views) == sorted(SEES.get(name, ())), name
        for view in (MINE, HIDDEN):
            shown = ask(t, token, "GET", f"/catalog/views/{view}")
            assert shown.status_code == (200 if view in SEES.get(name, ()) else 404), (name, view)
            if view in SEES.get(name, ()):
                assert ("row_filter" in shown.json()) == ("base_dataset" in shown.json()) == (name in ("admin", "operator"))


def test_who_may_read_a_view_learns_its_columns_and_nothing_more(t, who):
    columns = [{"name": "id", "masked": False}, {"name": "name", "masked": True}, {"name": "email", "masked": True}]
    shown = ask(t, who["agent"], "GET", f"/catalog/views/{MINE.upper()}")
    assert shown.json() == {"name": MINE, "version": 1, "columns": columns}
    assert ask(t, who["agent"], "GET", "/catalog/views").json() == {"views": [shown.json()], "next": None}
    old = ask(t, who["agent"], "GET", f"/catalog/views/{MINE}?version=1")
    assert old.status_code == 403 and "people" not in old.text


def test_a_view_that_one_may_not_read_is_not_there(t, who):
    for name in ("agent", "owner", "maker", "seer", "none"):
        answers = [told(ask(t, who[name], "GET", f"/catalog/views/{view}"), view) for view in (HIDDEN, ABSENT)]
        assert answers[0] == answers[1] and answers[0][0] == 404
        near = ask(t, who[name], "GET", f"/catalog/views/{HIDDEN}s").json()["detail"]
        assert near == f'no view "{HIDDEN}s"'
    assert ask(t, who["agent"], "GET", f"/catalog/views/{MINE}s").json()["detail"] == f'no view "{MINE}s"; did you mean "{MINE}"?'


def test_only_admins_make_and_remove_views_and_change_the_key(t, who):
    for name, token in who.items():
        for method, path, more in (("POST", "/catalog/views", {"json": {**BODY, "name": "other"}}), ("DELETE", "/catalog/views/other", {}),
                                   ("DELETE", f"/catalog/views/{ABSENT}", {}), ("POST", "/catalog/mask-key/rotate", {})):
            answer = ask(t, token, method, path, **more)
            good = name in ("admin", "operator")
            assert (answer.status_code != 403) == good, (name, method, path, answer.text)
            assert good or "other" not in [v["name"] for v in t.get("/catalog/views").json()["views"]]


def test_a_new_key_is_another_one(t):
    keys = [t.post("/catalog/mask-key/rotate", params={"reason": "yearly"}).json() for _ in range(3)]
    assert all(key["rotated"] is True for key in keys) and len({key["key_id"] for key in keys}) == 3
    assert t.told(action="mask_key.rotate")[0]["reason"] == "yearly"


# Names

SPELLINGS = ("safe", "SAFE", "Safe")


def test_a_view_cannot_have_the_name_of_a_dataset(t):
    for name in ("people", "PEOPLE"):
        for replace in (False, True):
            answer = t.post("/catalog/views", json={**BODY, "name": name, "replace": replace})
            assert answer.status_code == 409 and 'a dataset "people" already' in answer.json()["detail"], answer.text
    assert t.get("/catalog/views").json()["views"] == []


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_dataset_cannot_have_the_name_of_a_view(t, name):
    make(t)
    t.ingest("bait", "a\n1\n")
    says = 'a view "safe" already'
    for answer in (t.upload(name, "a\n1\n"), t.upload(name, "a\n1\n", mode="replace"), t.query(f"CREATE TABLE {name} AS SELECT 1 AS a"),
                   t.query(f"CREATE OR REPLACE TABLE {name} AS SELECT 1 AS a"), t.query(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT 1 AS a"),
                   t.query(f"ALTER TABLE bait RENAME TO {name}"),
                   t.post("/catalog/datasets/by-name/bait/rename", json={"to": name})):
        assert answer.status_code == 409 and answer.json()["code"] == "already_exists" and says in answer.json()["detail"], answer.text
    for answer in (t.upload(name, "a\n1\n", mode="append"), t.delete(f"/catalog/datasets/by-name/{name}"), t.query(f"DROP TABLE {name}")):
        assert answer.status_code == 404, answer.text
    assert [d["name"] for d in t.get("/catalog/datasets").json()["datasets"]] == ["bait", "people"]
    t.delete(PATH)
    t.ingest(name, "a\n1\n")


@pytest.mark.parametrize("spell", (str, str.upper))
def test_who_may_not_know_of_a_view_is_told_of_a_dataset(t, who, spell):
    t.ingest("bait", "a\n1\n")
    other = "kestr_1"
    t.ingest(other, "a\n1\n")
    for method, path, body in (("POST", "/ingest/file?dataset={}", None), ("POST", "/catalog/datasets/by-name/bait/rename", "to")):
        got = []
        for name in (HIDDEN, other):
            more = {"json": {body: spell(name)}} if body else {"data": "b\n2\n", "headers": CSV}
            got.append(told(ask(t, who["maker"], method, path.format(spell(name)), **more), name))
        assert got[0] == got[1] and got[0][0] == 409, got
    for sql in ("CREATE TABLE {} AS SELECT 1 AS a", "CREATE OR REPLACE TABLE {} AS SELECT 1 AS a", "ALTER TABLE bait RENAME TO {}"):
        answer = ask(t, who["maker"], "POST", "/query/sql", json={"sql": sql.format(spell(HIDDEN))})
        says = answer.json()["detail"]
        assert answer.status_code == 409 and f'there is a dataset "{HIDDEN}" already' in says and "view" not in says, answer.text
    for token in (who["owner"], who["agent"], who["none"]):
        codes = {ask(t, token, "POST", f"/ingest/file?dataset={name}", data="b\n2\n", headers=CSV).text.replace(name, "-")
                 for name in (HIDDEN, "phantom")}
        assert len(codes) == 1 and "bucket" in codes.pop()


def test_who_may_read_a_view_is_told_of_it(t, who):
    for answer in (ask(t, who["both"], "POST", f"/ingest/file?dataset={MINE}", data="a\n1\n", headers=CSV),
                   ask(t, who["both"], "POST", "/query/sql", json={"sql": f"CREATE TABLE {MINE} AS SELECT 1 AS a"})):
        assert answer.status_code == 409 and f'a view "{MINE}" already' in answer.json()["detail"], answer.text


def test_of_many_that_make_one_name_at_once_one_kind_wins(t):
    def view(name):
        return t.post("/catalog/views", json={**BODY, "name": name}).status_code

    def dataset(name):
        return t.upload(name, "a\n1\n").status_code

    for i in range(6):
        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda make_it: make_it(f"race_{i}"), (view, dataset) * 4))
        views, datasets = codes[::2], codes[1::2]
        assert set(codes) <= {201, 200, 409, 503}  # so many ingests at once are not taken
        assert views.count(201) <= 1 and datasets.count(201) <= 1 and (201 in views) != (201 in datasets), codes


# The base

def test_a_renamed_base_is_named_anew(t):
    t.ingest("staff", PEOPLE)
    make(t, name="one", base_dataset="staff")
    make(t, name="two", base_dataset="STAFF")
    make(t, name="three")
    assert t.post("/catalog/datasets/by-name/staff/rename", json={"to": "crew"}).status_code == 200
    assert [t.get(f"/catalog/views/{v}").json()["base_dataset"] for v in ("one", "two", "three")] == ["crew", "crew", "people"]
    t.sql("ALTER TABLE crew RENAME TO Team")
    assert [t.get(f"/catalog/views/{v}").json()["base_dataset"] for v in ("one", "two", "three")] == ["Team", "Team", "people"]
    assert t.get("/catalog/views/one").json()["version"] == 1


def test_a_view_stays_when_its_base_goes(t):
    t.ingest("staff", PEOPLE)
    make(t, base_dataset="staff")
    assert t.delete("/catalog/datasets/by-name/staff").status_code == 200
    assert t.get(PATH).json()["base_dataset"] == "staff"
    assert t.post("/catalog/views", json={**BODY, "base_dataset": "staff", "replace": True}).status_code == 404
    assert t.delete(PATH).status_code == 200


# What is refused

@pytest.mark.parametrize("change, status, says", [
    ({"name": ""}, 400, "empty"), ({"name": "a b"}, 400, "view's name"), ({"name": "__raw__people"}, 400, "reserved"),
    ({"name": "system"}, 400, "reserved"), ({"name": None}, 400, "name"), ({"name": "x" * 129}, 400, "128"),
    ({"base_dataset": "nosuch"}, 404, 'no dataset "nosuch"'), ({"base_dataset": None}, 400, "base_dataset"),
    ({"columns": None}, 400, "columns"), ({"columns": []}, 400, "columns"), ({"columns": "id"}, 400, "columns"),
    ({"columns": ["*"]}, 400, "name each column"), ({"columns": ["id", "*"]}, 400, "name each column"),
    ({"columns": [1]}, 400, "names of columns"), ({"columns": ["id", "nosuch", "email", "name"]}, 400, '"nosuch"'),
    ({"column_redactions": {"status": "hash"}}, 400, '"status" is not among columns'),
    ({"column_redactions": {"email": "rot13"}}, 400, 'column_redactions: "email": '),
    ({"column_redactions": {"email": {"mask": {"keep_prefix": -1}}}}, 400, 'column_redactions: "email": '),
    ({"column_redactions": {"email": {"mask": {"keep": 1}}}}, 400, 'column_redactions: "email": '),
    ({"column_redactions": {"email": 7}}, 400, 'column_redactions: "email": '),
    ({"column_redactions": {"email": "hash", "EMAIL": "hash"}}, 400, "twice"),
    ({"column_redactions": ["email"]}, 400, "column_redactions"), ({"row_filter": 1}, 400, "row_filter"),
    ({"row_filter": "x" * 70000}, 413, "65536"), ({"replace": "yes"}, 400, "replace"), ({"filter": "1=1"}, 400, "filter"),
])
def test_a_bad_definition_is_refused_and_says_what_is_wrong(t, change, status, says):
    answer = t.post("/catalog/views", json={k: v for k, v in {**BODY, **change}.items() if v is not None})
    assert answer.status_code == status and says in answer.json()["detail"], answer.text
    assert t.get("/catalog/views").json()["views"] == []


def test_columns_must_be_named(t):
    answer = t.post("/catalog/views", json={k: v for k, v in BODY.items() if k != "columns"})
    assert answer.status_code == 400 and "shows the columns that it names" in answer.json()["detail"]


def test_names_of_columns_go_as_the_base_has_them(t):
    made = make(t, columns=["ID", "Email"], column_redactions={"eMAIL": "null"})
    assert [c["name"] for c in made["columns"]] == ["id", "email"] and made["column_redactions"] == {"email": "null"}


@pytest.mark.parametrize("row_filter, status, says, position", [
    ("nosuch = 1", 422, "nosuch", None), ("status !=", 422, "syntax error", None), ("status = 'x'; DROP TABLE people", 422, ";", 12),
    ("id = 1) OR (1 = 1", 422, "bracket", 6), ("id = 1 /*", 422, "comment", 7), ("id", 400, "must be a condition", None),
    ("'true'", 400, "must be a condition", None), ("NULL", 400, "must be a condition", None), ("sum(id) > 1", 422, "aggregates", None),
    ("id IN (SELECT id FROM nosuch)", 404, 'no dataset "nosuch"', 22), ("id IN (SELECT id FROM __raw__people)", 422, "__raw__", 22),
    ("id IN (SELECT seq FROM system.journal)", 422, "system.journal", 23), ("random() > 0.5", 422, "random numbers", None),
    ("now() > born", 422, "no clock", None), ("current_date > born", 422, "no clock", None), ("read_csv('/etc/passwd') IS NULL", 422, "read_csv", 0),
    ("id = $1", 422, "parameters", 3), ("id IN (SELECT id FROM people AT (VERSION => 1))", 422, "leave out AT", 22),
    ("nosuchfn(id) = 1", 422, "nosuchfn", 0), ("id IN (SELECT id FROM meek)", 404, "meek", 22),
])
def test_a_bad_filter_is_refused_and_says_where(t, row_filter, status, says, position):
    make(t, name="meek")
    answer = t.post("/catalog/views", json={**BODY, "row_filter": row_filter})
    assert answer.status_code == status and says in answer.json()["detail"], answer.text
    assert position is None or answer.json()["position"] == position, answer.text
    assert t.get(PATH).status_code == 404


@pytest.mark.parametrize("columns, redactions, says", [
    (["id", "ID"], {}, '"id" is named twice'), (["id"], {"id": "truncate-to-year"}, "dates and timestamps"),
    (["name"], {"name": "truncate-to-month"}, "dates and timestamps"),
])
def test_columns_and_masks_must_fit_the_base(t, columns, redactions, says):
    answer = t.post("/catalog/views", json={**BODY, "columns": columns, "column_redactions": redactions})
    assert answer.status_code == 400 and says in answer.json()["detail"], answer.text


def test_a_filter_may_ask_columns_that_are_not_shown_and_other_datasets(t):
    t.ingest("staff", "id,who\n1,Ann\n")
    for row_filter in ("born > DATE '2000-01-01'", "people.status = 'ok' -- as they say", "id IN (SELECT id FROM staff)", "  ", "true",
                       "EXISTS (SELECT 1 FROM staff s WHERE s.id = people.id)", "status NOT IN (SELECT who FROM staff)"):
        made = make(t, row_filter=row_filter, replace=True)
        assert made["row_filter"] == (row_filter if row_filter.strip() else None)


# What is read: fifteen columns, of which eight are shown

COLUMNS = ["candidate_id", "full_name", "email", "phone", "city", "state", "skill", "years", "hourly_rate", "status", "recruiter", "notes",
           "birth_date", "applied_at", "rating"]
SHOWN = ["candidate_id", "city", "state", "skill", "years", "hourly_rate", "applied_at", "rating"]
STATUSES = ["active", "blocked", "placed", None]


def candidate(i):
    return [f"CAN{i:07}", f"Person {i}", f"p{i}@example.org", f"555-01{i % 100:02}", ["Denver", "Boise", "Taos"][i % 3], ["CO", "ID", "NM"][i % 3], "welder",
            i % 9, 20 + i % 7, STATUSES[i % 4] or "", f"r{i % 3}", f"secret note {i}", "1990-01-02", f"2024-03-{1 + i % 28:02}", i % 5]


def candidates(numbers):
    return "\n".join(",".join(str(value) for value in row) for row in [COLUMNS, *map(candidate, numbers)]) + "\n"


SAFE = {"name": "candidates_safe", "base_dataset": "candidates", "columns": SHOWN, "row_filter": "status != 'blocked'",
        "column_redactions": {"candidate_id": {"mask": {"keep_prefix": 3, "keep_suffix": 2}}}}


class Seed:
    """The seed's example, and who asks of it."""

    def __init__(self, t):
        self.t = t
        t.ingest("candidates", candidates(range(1, 101)))
        make(t, **SAFE)
        self.agent = t.let_in("safe-agent", {"view:candidates_safe": ["read"]})

    def ask(self, sql, token=None, **members):
        return ask(self.t, token or self.agent, "POST", "/query/sql", json={"sql": sql, **members})

    def rows(self, sql, token=None):
        """The rows, which are the same to an agent and to an admin: there is one way to a view."""
        answers = [self.ask(sql, who, format="arrays") for who in ([token] if token else [self.agent, self.t.token])]
        assert all(answer.status_code == 200 for answer in answers), [answer.text for answer in answers]
        assert all(answer.json()["rows"] == answers[0].json()["rows"] for answer in answers)
        return [tuple(row) for row in answers[0].json()["rows"]]


def shown(numbers):
    """What the view shows of these candidates."""
    kept = (candidate(i) for i in numbers if STATUSES[i % 4] not in ("blocked", None))
    return sorted((f"CAN******{row[0][-2:]}", *(row[COLUMNS.index(name)] for name in SHOWN[1:])) for row in kept)


@pytest.fixture
def seed(t):
    yield Seed(t)
    assert t.delete("/auth/roles/safe-agent").status_code == 200


def test_a_view_shows_its_rows_and_columns_masked(seed):
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(range(1, 101))
    assert seed.ask("SELECT * FROM candidates_safe LIMIT 1").json()["columns"][0]["name"] == "candidate_id"
    assert [c["name"] for c in seed.ask("SELECT * FROM candidates_safe LIMIT 0").json()["columns"]] == SHOWN
    assert seed.rows("SELECT candidate_id FROM Candidates_SAFE WHERE candidate_id LIKE '%04' OR candidate_id = 'CAN0000006'") == [("CAN******04",)]


def test_what_a_view_does_not_show_cannot_be_asked(seed):
    for name in ("email", "status", "full_name", "notes", "nosuch"):
        for sql in (f"SELECT {name} FROM candidates_safe", f"SELECT 1 FROM candidates_safe WHERE {name} IS NULL",
                    f"SELECT count(*) FROM candidates_safe v ORDER BY max(v.{name})"):
            answer = seed.ask(sql)
            assert answer.status_code == 422 and "example.org" not in answer.text and "blocked" not in answer.text, answer.text
    for base in ("candidates", "__raw__candidates", "CANDIDATES", "candidates AT (VERSION => 1)"):
        answer = seed.ask(f"SELECT * FROM {base}")
        assert answer.status_code in (404, 422) and "example.org" not in answer.text, answer.text


def test_rows_that_are_tombstoned_are_gone_from_a_view_too(seed):
    path = "/catalog/datasets/by-name/candidates/tombstone"
    gone = ["CAN0000004", "CAN0000006", "CAN0000099"]
    body = {"row_key_column": "candidate_id", "row_key_values": gone, "reason": "asked for"}
    assert seed.t.post(path, json=body).status_code == 200
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(i for i in range(1, 101) if f"CAN{i:07}" not in gone)
    assert seed.t.post(path + "/undo", json={"row_key_values": gone[:1], "reason": "a mistake"}).status_code == 200
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(i for i in range(1, 101) if f"CAN{i:07}" not in gone[1:])


def test_a_view_follows_its_base(seed):
    seed.t.ingest("candidates", candidates(range(101, 151)), mode="append")
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(range(1, 151))
    seed.t.sql("UPDATE candidates SET status = 'blocked' WHERE candidate_id > 'CAN0000020'")
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(range(1, 21))
    seed.t.sql("DELETE FROM candidates WHERE candidate_id > 'CAN0000010'")
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(range(1, 11))
    seed.t.post("/catalog/datasets/by-name/candidates/rename", json={"to": "people_2"})
    seed.t.sql("ALTER TABLE people_2 RENAME COLUMN email TO mail")
    assert sorted(seed.rows("SELECT * FROM candidates_safe")) == shown(range(1, 11))


def test_a_view_that_no_longer_fits_its_base_is_refused_and_never_half_applied(seed):
    for change in ("ALTER TABLE candidates DROP COLUMN status", "ALTER TABLE candidates DROP COLUMN rating",
                   "CREATE OR REPLACE TABLE candidates AS SELECT 1 AS candidate_id"):
        seed.t.sql(change)
        for token in (seed.agent, seed.t.token):
            answer = seed.ask("SELECT * FROM candidates_safe", token)
            assert answer.status_code == 409 and "candidates_safe" in answer.json()["detail"], answer.text
            assert "CAN" not in answer.text
    make(seed.t, **{**SAFE, "columns": ["candidate_id"], "column_redactions": {}, "row_filter": "candidate_id > 0", "replace": True})
    assert seed.rows("SELECT * FROM candidates_safe") == [(1,)]


def test_another_definition_counts_from_the_next_query_on(seed):
    assert seed.rows("SELECT count(*), min(candidate_id) FROM candidates_safe") == [(len(shown(range(1, 101))), "CAN******00")]
    make(seed.t, **{**SAFE, "row_filter": "status = 'blocked'", "column_redactions": {"candidate_id": "null"}, "replace": True})
    assert seed.rows("SELECT count(*), min(candidate_id) FROM candidates_safe") == [(25, None)]
    assert seed.t.delete("/catalog/views/candidates_safe").status_code == 200
    for token in (seed.agent, seed.t.token):
        answer = seed.ask("SELECT * FROM candidates_safe", token)
        assert answer.status_code == 404 and 'no dataset "candidates_safe"' in answer.json()["detail"]


def test_views_join_like_any_table(seed):
    make(seed.t, name="contacts", base_dataset="candidates", columns=["candidate_id", "email", "years"], row_filter=None,
         column_redactions={"candidate_id": "hash", "email": "hash"})
    make(seed.t, name="notes_safe", base_dataset="candidates", columns=["candidate_id", "hourly_rate"], row_filter=None,
         column_redactions={"candidate_id": "hash"})
    token = seed.t.let_in("joiner", {"view:contacts": ["read"], "view:notes_safe": ["read"], "view:candidates_safe": ["read"]})
    sql = "SELECT count(*), sum(hourly_rate) FROM contacts c JOIN notes_safe n USING (candidate_id)"
    assert seed.rows(sql, token) == seed.rows(sql, seed.t.token) == [(100, sum(20 + i % 7 for i in range(1, 101)))]
    city = "WITH s AS (SELECT city, count(*) AS n FROM candidates_safe GROUP BY city) SELECT s.city, s.n, (SELECT count(*) FROM contacts) FROM s ORDER BY 1"
    assert seed.rows(city, token) == [(name, sum(1 for row in shown(range(1, 101)) if row[1] == name), 100) for name in ("Boise", "Denver", "Taos")]
    assert seed.ask(sql).status_code == 404


def test_a_new_key_changes_hashes_and_they_still_join(seed):
    make(seed.t, name="hashed", base_dataset="candidates", columns=["candidate_id"], row_filter=None, column_redactions={"candidate_id": "hash"})
    sql = "SELECT candidate_id FROM hashed ORDER BY 1"
    before = seed.rows(sql, seed.t.token)
    assert before == seed.rows(sql, seed.t.token) and len(set(before)) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", value) for (value,) in before)
    seed.t.post("/catalog/mask-key/rotate")
    after = seed.rows(sql, seed.t.token)
    assert len(set(after)) == 100 and not set(after) & set(before)
    assert seed.rows("SELECT count(*) FROM hashed a JOIN hashed b USING (candidate_id)", seed.t.token) == [(100,)]


def test_a_query_beside_changes_sees_one_definition_whole(seed):
    other = {**SAFE, "columns": ["candidate_id", "email"], "row_filter": "status = 'blocked'", "column_redactions": {"candidate_id": "null", "email": "null"}}
    lawful = [shown(range(1, 101)), [(None, None)] * 25]
    over = []

    def read(_):
        seen = 0
        while not over or seen < 3:
            answer = seed.ask("SELECT * FROM candidates_safe", format="arrays")
            assert answer.status_code == 200, answer.text
            rows = [tuple(row) for row in answer.json()["rows"]]
            assert (sorted(rows) if rows[0][0] is not None else rows) in lawful, rows[:3]
            seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, i) for i in range(4)]
        try:
            for i in range(20):
                make(seed.t, **{**(other if i % 2 == 0 else SAFE), "replace": True})
        finally:
            over.append(True)
        assert all(reader.result(timeout=100) >= 3 for reader in readers)
