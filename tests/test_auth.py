"""Tokens: the first one, what is refused without one, how they are made, listed and revoked, where they never stand."""

import contextlib
import hashlib
import json
import os
import re
import stat
import zlib
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Server, wait_until

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def in_form(middle):
    """A token that has the form of one: its checksum is right."""
    body = "tarn_" + middle
    crc, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        crc, digit = divmod(crc, 62)
        check = DIGITS[digit] + check
    return f"{body}_{check}"


WRONG = in_form("A" * 43)
READER = in_form("Reader" + "r" * 37)
NOBODY = in_form("Nobody" + "n" * 37)
LATE = in_form("Late" + "x" * 39)


def add_record(data, *tokens):
    """Puts a record into the log of a server that is down: tokens as no request can make them yet."""
    folder = f"{data}/primary/_catalog/log"
    last = max(os.listdir(folder))
    with open(f"{folder}/{last}", "rb") as f:
        before = hashlib.sha256(f.read()).hexdigest()
    seq = int(last.split(".")[0]) + 1
    transactions = [
        {"id": f"01TEST{i:020d}", "actor": "test", "action": "token.create", "reason": "", "target": f"token:test-{i}",
         "changes": [{"entity": f"token:test-{i}", "expect": 0,
                      "value": {"principal": name, "roles": roles, "sha256": hashlib.sha256(text.encode()).hexdigest(),
                                "created_us": 1, "expires_us": expires}}]}
        for i, (name, text, roles, expires) in enumerate(tokens)]
    record = {"v": 1, "seq": seq, "prev_sha256": before, "time": "2026-01-01T00:00:00.000000Z", "node": "test",
              "transactions": transactions}
    text = json.dumps(record, separators=(",", ":"))[:-1]
    with open(f"{folder}/{seq:020d}.json", "w", encoding="ascii") as f:
        f.write(f'{text},"sha256":"{hashlib.sha256(text.encode()).hexdigest()}"}}\n')


def bearer(text):
    return {"Authorization": f"Bearer {text}" if text is not None else None}


def status(server, header, path="/catalog/datasets"):
    return server.get(path, headers={"Authorization": header}).status_code


def make(server, **members):
    answer = server.post("/auth/tokens", json={"principal": "someone", "roles": ["admin"], **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ends_soon(server):
    """A token and its end. That must be to come when it is made, for which a busy machine takes some time."""
    for seconds in (1, 5, 25):
        soon = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        answer = server.post("/auth/tokens", json={"principal": "someone", "roles": ["admin"], "expires_at": soon.isoformat()})
        if answer.status_code == 201:
            break
    assert answer.status_code == 201, answer.text
    return answer.json(), soon


@pytest.fixture(scope="module")
def t(tmp_path_factory):
    """A server whose catalog has a reader, somebody without roles, and a token whose time is over."""
    data = tmp_path_factory.mktemp("auth") / "data"
    first = Server(data)
    first.stop()
    add_record(data, ("reader", READER, ["reader", "Admin", "administrator"], 0), ("nobody", NOBODY, [], 0),
               ("late", LATE, ["admin"], 1_700_000_000_000_000))
    server = Server(data, "--log-level", "debug")
    server.first_output = first.output
    server.first_log = first.log
    yield server
    server.stop()


# The first token

def test_the_first_token_is_printed_once_and_left_in_a_file_for_its_owner_alone(tmp_path, serve):
    old = os.umask(0)
    try:
        t = serve()
    finally:
        os.umask(old)
    path = f"{t.data}/admin.token"
    assert re.fullmatch(r"tarn_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", t.token) and in_form(t.token[5:48]) == t.token
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert t.output.count(t.token) == 1 and "new" in t.output
    assert stat.S_IMODE(os.stat(f"{t.data}/primary").st_mode) == 0o700
    t.stop()
    inode = os.stat(path).st_ino, os.stat(path).st_mtime_ns
    again = serve()
    assert again.token == t.token and again.token not in again.output and "admin.token" in again.output
    assert (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == inode
    assert again.get("/journal").status_code == 200


def test_a_token_file_is_not_written_through_a_link(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "other").write_text("mine")
    (data / "admin.token").symlink_to(tmp_path / "other")
    server = Server(data, wait=False)
    assert server.wait() not in (0, -6) and "admin.token" in server.log
    assert (tmp_path / "other").read_text() == "mine"


def test_a_token_file_that_others_could_read_is_made_private(tmp_path, serve):
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin.token").write_text("old")
    os.chmod(data / "admin.token", 0o644)
    t = serve()
    assert stat.S_IMODE(os.stat(f"{t.data}/admin.token").st_mode) == 0o600
    assert t.get("/journal").status_code == 200


def test_a_server_without_tokens_makes_a_first_one_again(serve):
    t = serve()
    [only] = t.get("/auth/tokens").json()["tokens"]
    assert t.delete(f"/auth/tokens/{only['id']}").status_code == 200
    assert t.get("/auth/tokens").status_code == 401
    t.stop()
    again = serve()
    assert again.token != t.token and again.output.count(again.token) == 1
    assert again.get("/journal").status_code == 200
    assert again.get("/journal", headers=bearer(t.token)).status_code == 401


# What is refused

@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Token {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer {} {}",
    "Bearer {},", 'Bearer "{}"', "Bearer tarn_", "Bearer " + "x" * 5000, "Bearer " + WRONG, "Bearer " + LATE, "Bearer\t{}",
    "Bearer tarn_' OR 1=1 --", "Bearer tarn__",
])
def test_who_has_no_valid_token_is_401(t, header):
    failures = t.metric("auth_failures")
    header = header.format(t.token, t.token) if header else header
    answer = t.get("/catalog/datasets", headers={"Authorization": header})
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"
    assert t.metric("auth_failures") == failures + 1


def test_every_single_change_of_a_token_makes_it_wrong(t):
    for i in range(len(t.token)):
        other = "b" if t.token[i] == "a" else "a"
        assert status(t, f"Bearer {t.token[:i]}{other}{t.token[i + 1:]}") == 401
        assert status(t, f"Bearer {t.token[:i]}{t.token[i + 1:]}") == 401
    assert status(t, f"Bearer {t.token}") == 200


def test_the_scheme_may_be_written_in_any_case(t):
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert status(t, f"{scheme} {t.token}") == 200


def test_a_token_is_taken_from_its_header_alone(t):
    for path in (f"/catalog/datasets?token={t.token}", f"/catalog/datasets?access_token={t.token}"):
        assert t.get(path, headers=bearer(None)).status_code == 401
    assert t.get("/catalog/datasets", headers={**bearer(None), "X-Token": t.token, "Cookie": f"token={t.token}",
                                               "Proxy-Authorization": f"Bearer {t.token}"}).status_code == 401


def routes(server):
    for path, operations in server.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation.get("security") != []


def fill(path):
    return re.sub(r"\{[^}]*\}", "query" if path.startswith("/{service}") else "x", path)


def test_no_route_is_open_but_those_that_say_so(t):
    before = t.told(outcome="done")[0]["seq"]
    found = {True: 0, False: 0}
    for method, path, guarded in routes(t):
        found[guarded] += 1
        for verb in (method, "HEAD") if method == "GET" else (method,):
            for text in (None, "", WRONG, LATE, t.token + "x"):
                answer = t.request(verb, fill(path), headers={**bearer(text), "Content-Type": "application/json"},
                                   data="{}" if method in ("POST", "PUT", "PATCH") else None)
                assert (answer.status_code == 401) == guarded, (verb, path, text, answer.status_code, answer.text)
                if guarded and verb != "HEAD":
                    assert answer.json()["code"] == "unauthenticated"
    assert found[True] >= 15 and 5 <= found[False] <= 8
    assert t.told(outcome="done")[0]["seq"] == before


def test_roles_that_do_not_exist_give_nothing(t):
    """Their names stand in the log, as those of roles that were removed may."""
    t.ingest("not_for_them", "a\n1\n")
    for text in (READER, NOBODY):
        who = bearer(text)
        assert t.get("/catalog/datasets", headers=who).json() == {"datasets": [], "next": None}
        assert t.get("/catalog/datasets/by-name/not_for_them", headers=who).status_code == 404
        assert t.query("SELECT * FROM not_for_them", headers=who).status_code == 404
        for path in ("/journal", "/metrics", "/auth/tokens", "/auth/roles", "/auth/roles/admin"):
            assert t.get(path, headers=who).status_code == 403
        for sql in ("SELECT 1", "SELECT * FROM system.queries", "CREATE TABLE x AS SELECT 1 AS a"):
            assert t.query(sql, headers=who).status_code == 403


def test_public_routes_tell_nothing_of_the_data(t):
    t.ingest("a_secret_name", "a\n1\n")
    for method, path, guarded in routes(t):
        if not guarded:
            answer = t.request(method, fill(path), headers=bearer(None))
            assert answer.status_code == 200 and "a_secret_name" not in answer.text and t.data not in answer.text
            assert "X-Tarn-Seq" not in answer.headers


# Making, listing, revoking

def test_a_token_is_made_shown_once_listed_without_its_text_and_revoked(t):
    made = make(t, principal="ann@example.org", expires_at="2099-01-31T00:00:00Z")
    assert made["principal"] == "ann@example.org" and made["roles"] == ["admin"]
    assert made["expires_at"].startswith("2099-01-31T00:00:00")
    assert in_form(made["token"][5:48]) == made["token"]
    answer = t.get("/auth/tokens")
    [listed] = [token for token in answer.json()["tokens"] if token["id"] == made["id"]]
    assert listed == {k: v for k, v in made.items() if k != "token"} and listed["last_used_at"] is None
    for text in (made["token"], t.token, hashlib.sha256(made["token"].encode()).hexdigest()):
        assert text not in answer.text
    assert t.get("/journal?limit=1&action=token.*", headers=bearer(made["token"])).json()["entries"][0]["target"] == f"token:{made['id']}"
    t.ingest("by_ann", "a\n1\n", headers=bearer(made["token"]))
    assert t.told(outcome="done")[0]["actor"] == "ann@example.org"
    assert t.delete(f"/auth/tokens/{made['id']}").json() == {"id": made["id"], "revoked": True}
    assert t.get("/journal", headers=bearer(made["token"])).status_code == 401
    assert made["id"] not in t.get("/auth/tokens").text
    answer = t.delete(f"/auth/tokens/{made['id']}")
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"


def test_when_a_token_was_last_used_is_seen_and_outlives_the_server(serve):
    t = serve()
    made = make(t)

    def last_used():
        [one] = [token for token in t.get("/auth/tokens").json()["tokens"] if token["id"] == made["id"]]
        return one["last_used_at"]

    assert last_used() is None
    seq = t.get("/journal").headers["X-Tarn-Seq"]
    before = datetime.now(timezone.utc)
    answers = [t.get("/catalog/datasets", headers=bearer(made["token"])) for _ in range(3)]
    assert {answer.headers["X-Tarn-Seq"] for answer in answers} == {seq}, "a use is not written in the request"
    used = last_used()
    assert before <= datetime.fromisoformat(used.replace("Z", "+00:00")) <= datetime.now(timezone.utc)
    t.stop()
    t = serve()
    assert last_used() == used


def test_a_server_without_an_admin_token_makes_one(serve):
    t = serve()
    t.request("PUT", "/auth/roles/clerk", json={"grants": [{"object": "dataset:*", "rights": ["read_raw"]}]})
    make(t, roles=["clerk"])
    make(t, expires_at=(datetime.now(timezone.utc) + timedelta(minutes=5)).isoformat())
    first = t.get("/auth/tokens").json()["tokens"]
    [mine] = [token for token in first if token["principal"] == "admin"]
    assert t.delete(f"/auth/tokens/{mine['id']}").status_code == 200
    t.stop()
    again = serve()
    assert again.token != t.token and again.get("/journal").status_code == 200
    assert len(again.get("/auth/tokens").json()["tokens"]) == 3


def test_no_two_tokens_are_the_same(t):
    made = [make(t) for _ in range(8)]
    assert len({m["token"] for m in made}) == len({m["id"] for m in made}) == 8
    assert len({m["token"][:20] for m in made}) == 8
    for m in made:
        t.delete(f"/auth/tokens/{m['id']}")


def test_a_token_ends_at_its_time(t):
    made, soon = ends_soon(t)
    wait_until(lambda: t.get("/journal", headers=bearer(made["token"])).status_code == 401)
    assert datetime.now(timezone.utc) >= soon


def test_a_token_outlives_the_server_and_a_revoked_one_stays_revoked(serve):
    t = serve()
    kept, gone = make(t), make(t)
    t.delete(f"/auth/tokens/{gone['id']}")
    t.stop()
    t = serve()
    assert t.get("/journal", headers=bearer(kept["token"])).status_code == 200
    assert t.get("/journal", headers=bearer(gone["token"])).status_code == 401


@pytest.mark.parametrize("body", [
    {}, {"principal": "x"}, {"roles": ["admin"]}, {"principal": "", "roles": ["admin"]},
    {"principal": "x" * 129, "roles": ["admin"]}, {"principal": 7, "roles": ["admin"]}, {"principal": "x", "roles": []},
    {"principal": "x", "roles": "admin"}, {"principal": "x", "roles": [7]}, {"principal": "x", "roles": ["nosuch"]},
    {"principal": "x", "roles": ["admin"] * 17}, {"principal": "x", "roles": ["admin"], "expires_at": "yesterday"},
    {"principal": "x", "roles": ["admin"], "expires_at": "2020-01-01T00:00:00Z"},
    {"principal": "x", "roles": ["admin"], "expires_at": 7}, {"principal": "x", "roles": ["admin"], "token": "mine"},
    {"principal": "x", "roles": ["admin", "Admin"]}, {"principal": "x", "roles": [""]}, {"principal": "x", "roles": ["*"]},
    {"principal": "a\nb", "roles": ["admin"]}, {"principal": "a\u202eb", "roles": ["admin"]},
])
def test_a_token_is_asked_for_in_one_way(t, body):
    answer = t.post("/auth/tokens", json=body)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_argument", answer.text


# Where tokens never stand

def test_no_token_stands_in_a_log_or_file(t):
    made, gone = make(t, principal="watched"), make(t, principal="gone")
    t.delete(f"/auth/tokens/{gone['id']}")
    texts = [t.token, made["token"], gone["token"], READER, WRONG]
    for text in texts:  # in places where somebody may put it by mistake
        t.get(f"/{text}")
        t.delete(f"/auth/tokens/{text}")
        t.get(f"/catalog/datasets?{text}=1")
        t.get("/catalog/datasets", headers={"Authorization": f"Basic {text}"})
        t.get("/catalog/datasets", headers={"Authorization": text})
        t.get("/health", headers={"X-Request-Id": text})
        t.query(f"SELECT '{text}'")
        t.query(f"SELECT {text}")
    t.get("/journal", headers={"X-Request-Id": "the-last-one"})
    wait_until(lambda: "the-last-one" in t.log)
    everything = {"log": (t.log + t.first_log).encode(), "output": t.output.encode()}
    for folder, _, names in os.walk(t.data):
        for name in names:
            # What is being written has another name a moment later.
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{name}", "rb") as f:
                everything[f"{folder}/{name}"] = f.read()
    assert everything.pop(f"{t.data}/admin.token").strip() == t.token.encode()
    for text in texts:
        assert [name for name, data in everything.items() if text.encode() in data] == []
    hashed = hashlib.sha256(made["token"].encode()).hexdigest().encode()
    assert any(hashed in data for data in everything.values())  # the search finds what is there
    assert t.first_output.count(t.token) == 1
