"""HTTP from outside: routing, heads and bodies, problems, TLS, hang-ups, places for queries, the end of a server."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
import requests
from conftest import SANITIZER, TARN, wait_until

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE (a.range * b.range) % 7 = 3"
STREAM = "SELECT range AS n, 'x' || range AS t FROM range({})"
CSV = "text/csv"
JSON = {"Content-Type": "application/json"}


class Raw:
    """A connection on which bytes go out as they stand."""

    def __init__(self, server, data=b"", tls=None):
        self.server = server
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.send(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has refused meanwhile; what it said is read

    def head(self, method, path, *lines):
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: tarn", *lines, "", ""]))

    def ask(self, method, path, *lines):
        """Sends a head with the admin's token; gives the answer."""
        self.head(method, path, f"Authorization: Bearer {self.server.token}", *lines)
        return self.answer(method)

    def answer(self, method="GET"):
        answer = self.begun(method)
        answer.text = answer.read().decode()
        return answer

    def begun(self, method="GET"):
        """An answer of which the head has come."""
        answer = http.client.HTTPResponse(self.socket, method=method)
        answer.begin()
        return answer

    def begin_query(self, sql, accept="application/json"):
        """Sends a query and does not read what comes of it."""
        body = sql.encode()
        self.head("POST", "/query/sql", f"Authorization: Bearer {self.server.token}", f"Accept: {accept}",
                  "Content-Type: text/plain", f"Content-Length: {len(body)}")
        self.send(body)
        return self

    def rest(self):
        """What comes until the server closes, which it must."""
        pieces = []
        while True:
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def problem(answer, status, code):
    """Checks that an answer of requests, or of Raw, is the RFC 9457 problem; gives its members."""
    if isinstance(answer, http.client.HTTPResponse):
        kind, found, body = answer.headers["Content-Type"], answer.status, json.loads(answer.text)
    else:
        kind, found, body = answer.headers["Content-Type"], answer.status_code, answer.json()
    assert (found, body["code"]) == (status, code), body
    assert kind == "application/problem+json"
    assert body["status"] == status and body["type"] == f"urn:tarn:problem:{code}"
    assert body["title"] == code.replace("_", " ") and body["detail"]
    assert answer.headers["X-Request-Id"] == body["request_id"]
    return body


def running(server):
    return server.get("/query/running").json()["queries"]


def wait_running(server, *states):
    """Waits until the queries are in these states; gives them."""
    def look():
        found = running(server)
        return found if [q["state"] for q in found] == list(states) else None
    return wait_until(look) if states else wait_until(lambda: not running(server))


class Asking(threading.Thread):
    """A query that is waited for elsewhere."""

    def __init__(self, server, sql, **more):
        super().__init__(daemon=True)
        self.result = None
        self.failure = None
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "text/plain", **more.pop("headers", {})}
        self.what = dict(url=server.url + "/query/sql", data=sql, headers=headers, timeout=120, **more)
        self.start()

    def run(self):
        with requests.Session() as session:
            session.trust_env = False
            try:
                self.result = session.post(**self.what)
            except requests.RequestException as e:
                self.failure = e

    def answer(self):
        self.join(120)
        assert not self.is_alive(), "no answer"
        return self.result


@pytest.fixture(scope="module", autouse=True)
def trickle(t):
    """A head that never ends, begun before all other tests so that nobody waits for it alone."""
    raw = Raw(t, "GET /health HTTP/1.1\r\n")
    over = threading.Event()

    def send():
        while not over.wait(1):
            raw.send("X")
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    yield raw
    over.set()
    thread.join(10)
    raw.socket.close()


# Routing

@pytest.mark.parametrize("path", ["/nosuch", "/", "/catalog", "/catalog/datasets/by-name", "/query/sql/more",
                                  "/catalog/datasets/by-name/a/b", "/HEALTH", "/nosuch/health", "/health/more"])
def test_what_is_not_there_is_404(t, path):
    problem(t.get(path), 404, "not_found")


@pytest.mark.parametrize("method,path,allow", [
    ("POST", "/health", "GET, HEAD"), ("DELETE", "/catalog/datasets", "GET, HEAD"), ("GET", "/query/sql", "POST"),
    ("HEAD", "/query/sql", "POST"), ("PUT", "/auth/tokens", "GET, HEAD, POST"), ("PATCH", "/journal", "GET, HEAD"),
    ("OPTIONS", "/health", "GET, HEAD"), ("BREW", "/health", "GET, HEAD"),
    ("POST", "/catalog/datasets/by-name/x", "DELETE, GET, HEAD"),
])
def test_a_method_that_is_not_there_is_405_and_says_which_are(t, method, path, allow):
    answer = t.request(method, path)
    assert answer.status_code == 405
    assert ", ".join(sorted(answer.headers["Allow"].split(", "))) == allow
    if method != "HEAD":
        problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/health", "/query/health", "/ready", "/version", "/openapi.json", "/metrics",
                                  "/catalog/datasets", "/journal", "/nosuch"])
def test_head_is_get_without_the_body(t, path):
    got, head = t.get(path), t.request("HEAD", path)
    assert head.status_code == got.status_code and head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    if path not in ("/metrics", "/nosuch"):
        assert head.headers["Content-Length"] == str(len(got.content))


@pytest.mark.parametrize("path", ["/catalog/datasets?limt=1", "/health?x", "/catalog/datasets?limit=1&Limit=1",
                                  "/query/running?limit=1", "/catalog/datasets?%6cimi%74s=1"])
def test_an_unknown_parameter_is_refused(t, path):
    assert "unknown parameter" in problem(t.get(path), 400, "invalid_argument")["detail"]


@pytest.mark.parametrize("value", ["0", "1001", "-1", "x", "", "1.5", "1e2", "99999999999999999999", "0x10", "%201"])
def test_a_number_out_of_bounds_is_refused(t, value):
    assert "limit" in problem(t.get(f"/catalog/datasets?limit={value}"), 400, "invalid_argument")["detail"]


def test_each_service_says_how_it_is(t):
    for service in ("gateway", "storage", "catalog", "query", "ingest"):
        assert t.get(f"/{service}/health").json() == {"status": "ok", "service": service}
    assert t.get("/health").json()["status"] == "ok"
    assert t.get("/ready").json()["status"] == "ready"
    version = t.get("/version").json()
    assert version["name"] == "tarn" and version["engine"].startswith("v1.")


# Ids, times, log lines

def test_a_request_id_is_echoed(t):
    for path in ("/health", "/nosuch", "/catalog/datasets?x=1"):
        assert t.get(path, headers={"X-Request-Id": "my.id_1-2"}).headers["X-Request-Id"] == "my.id_1-2"


@pytest.mark.parametrize("given", [None, "", "with blank", "x" * 65, "a\"b", "a=b", "ä"])
def test_a_request_without_a_usable_id_gets_one(t, given):
    h = {"X-Request-Id": given.encode() if given else given}
    first, second = (t.get("/health", headers=h).headers["X-Request-Id"] for _ in range(2))
    assert re.fullmatch(r"[0-9A-Z]{26}", first) and re.fullmatch(r"[0-9A-Z]{26}", second) and first != second


def test_a_query_says_where_its_time_went(t):
    timing = t.query("SELECT 1").headers["Server-Timing"]
    names = [item.split(";")[0].strip() for item in timing.split(",")]
    assert names == ["guard", "wait", "plan", "start", "total"]
    assert all(re.fullmatch(r" ?\w+;dur=\d+\.\d+", item) for item in timing.split(","))


def test_a_request_is_one_log_line_with_its_id(t):
    t.get("/catalog/datasets", headers={"X-Request-Id": "find-me-7"})
    t.get("/none/%0a%22such\u00e9", headers={"X-Request-Id": "find-me-8"})
    t.get('/none/"such é', headers={"X-Request-Id": "find-me-9"})
    [line] = wait_until(lambda: [s for s in t.errors if "find-me-7" in s])
    assert re.match(r"time=\S+Z level=info req=find-me-7 event=http method=GET path=/catalog/datasets status=200 "
                    r"ms=\d+ in=0 out=\d+ principal=admin\n$", line)
    [line] = wait_until(lambda: [s for s in t.errors if "find-me-9" in s])
    assert 'path="/none/\\"such é"' in line and "status=404" in line


def test_bytes_out_are_counted_for_every_kind_of_answer(t):
    for sql in ("SELECT 7", "SELECT * FROM range(200000)"):
        before = t.metric("http_bytes_out")
        answer = t.query(sql, accept=CSV, headers={"X-Request-Id": f"count-{len(sql)}"})
        [line] = wait_until(lambda n=len(sql): [s for s in t.errors if f"req=count-{n} event=http" in s])
        assert f" out={len(answer.content)} " in line
        assert t.metric("http_bytes_out") - before >= len(answer.content)


def test_answers_are_not_kept_or_guessed_at(t):
    for path in ("/health", "/nosuch", "/catalog/datasets"):
        headers = t.get(path).headers
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"


# Heads

def test_connections_are_kept(t):
    with Raw(t) as raw:
        for i in range(20):
            answer = raw.ask("GET", "/health" if i % 2 else "/nosuch")
            assert answer.status == (200 if i % 2 else 404)
        assert raw.ask("GET", "/health", "Connection: close").headers["Connection"] == "close"
        assert raw.rest() == b""


def test_two_requests_sent_at_once_are_answered_in_turn(t):
    one = "GET /version HTTP/1.1\r\nHost: x\r\n{}\r\n"
    with Raw(t, one.format("X-Request-Id: one\r\n") + one.format("X-Request-Id: two\r\nConnection: close\r\n")) as raw:
        text = raw.rest().decode()
    assert text.count("HTTP/1.1 200 OK") == 2 and text.index("X-Request-Id: one") < text.index("X-Request-Id: two")


SMUGGLED = "Content-Type: text/plain"


@pytest.mark.parametrize("lines,body", [
    (["Content-Length: 8", "Content-Length: 8"], "SELECT 1"),
    (["Content-Length: 8", "Content-Length: 9"], "SELECT 1"),
    (["Content-Length: 8, 8"], "SELECT 1"),
    (["Content-Length: 8", "Transfer-Encoding: chunked"], "8\r\nSELECT 1\r\n0\r\n\r\n"),
    (["Transfer-Encoding: chunked", "Content-Length: 8"], "8\r\nSELECT 1\r\n0\r\n\r\n"),
    (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "8\r\nSELECT 1\r\n0\r\n\r\n"),
    (["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"),
    (["Transfer-Encoding: identity", "Content-Length: 8"], "SELECT 1"),
    (["Content-Length: +8"], "SELECT 1"),
    (["Content-Length: -1"], ""),
    (["Content-Length: 0x8"], "SELECT 1"),
    (["Content-Length : 8"], "SELECT 1"),
    (["Host: other", "Content-Length: 8"], "SELECT 1"),
    (["X: a\r\n folded", "Content-Length: 8"], "SELECT 1"),
])
def test_a_body_of_unclear_length_is_refused_and_the_connection_closed(t, lines, body):
    with Raw(t) as raw:
        raw.head("POST", "/query/sql", f"Authorization: Bearer {t.token}", SMUGGLED, *lines)
        raw.send(body + "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        text = raw.rest().decode()
    assert text.startswith("HTTP/1.1 400 ") and text.count("HTTP/1.1") == 1
    assert '"code":"invalid_argument"' in text


@pytest.mark.parametrize("head", [
    "GET /health HTTP/1.1\r\n\r\n",  # no Host
    "GET /health HTTP/1.1\nHost: x\n\n",
    "GET /health HTTP/1.1\r\nHost: x\r\nA\x01: b\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /he\tlth HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET health HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /health#x HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_a_malformed_head_is_refused(t, head):
    with Raw(t, head) as raw:
        text = raw.rest().decode()
    assert text.startswith("HTTP/1.1 400 ") and text.count("HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/a/../health", "/./health", "//health", "/%2e%2e/health", "/a%2fb", "/a%5cb", "/a\\b",
                                  "/%", "/%4", "/%zz", "/%00", "/%0a", "/%7f", "/%ff", "/%c0%af", "/health?a=%",
                                  "/health?a=%ff", "/health?a=%00"])
def test_a_malformed_path_is_refused(t, path):
    with Raw(t) as raw:
        assert raw.ask("GET", path, "Connection: close").status == 400
        raw.rest()


def test_names_are_percent_decoded_once(t):
    t.ingest("naïve_name", "a,b\n1,2\n", reason="50% + more")
    assert t.get("/catalog/datasets/by-name/na%C3%AFve%5Fname").json()["name"] == "naïve_name"
    with Raw(t) as raw:
        assert raw.ask("GET", "/catalog/datasets/by-name/na%c3%afve_n%61me").status == 200
        problem(raw.ask("GET", "/catalog/datasets/by-name/na%25C3%25AFve_name"), 404, "not_found")
        problem(raw.ask("GET", "/catalog/datasets/by-name/naïve+name"), 404, "not_found")
    assert t.told(outcome="done")[0]["reason"] == "50% + more"


@pytest.mark.parametrize("lines,path,status", [
    (["X: " + "x" * 17000], "/health", 431),
    ([f"X-{i}: x" for i in range(120)], "/health", 431),
    ([], "/" + "x" * 9000, 414),
    ([], "/health?" + "x" * 9000, 414),
    ([], "/health?" + "&".join(f"a{i}=1" for i in range(300)), 400),
    (["X: " + "x" * 15000], "/health", 200),
])
def test_heads_have_limits(t, lines, path, status):
    with Raw(t) as raw:
        assert raw.ask("GET", path, *lines, "Connection: close").status == status
        raw.rest()


@pytest.mark.parametrize("size", [40_000, 200_000])
def test_a_head_past_every_buffer_is_refused(t, size):
    with Raw(t) as raw:
        raw.head("GET", "/health", "X: " + "x" * size)
        text = raw.rest()
    assert text == b"" or re.match(rb"HTTP/1\.1 4(13|14|31) ", text)
    assert t.get("/health").status_code == 200


# Bodies

@pytest.mark.parametrize("kind", ["text/html", "application/xml", "application/x-www-form-urlencoded", "json", "text/"])
def test_a_wrong_content_type_is_415(t, kind):
    for path in ("/query/sql", "/auth/tokens", "/query/compact"):
        problem(t.post(path, data='{"sql":"SELECT 1"}', headers={"Content-Type": kind}), 415, "unsupported_format")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_may_be_said_in_several_ways(t, kind):
    assert t.post("/query/sql", data='{"sql":"SELECT 1"}', headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("body", ["", "{", "[]", "7", '"SELECT 1"', "{}", '{"sql":7}', '{"sql":null}', '{"sql":"SELECT 1",}',
                                  '{"sql":"SELECT 1"} x', '{"sql":"SELECT 1","sqll":1}', '{"sql":"SELECT 1","sql":"SELECT 2"}',
                                  '{"sql":"SELECT 1","rows_max":-1}', '{"sql":"SELECT 1","rows_max":1.5}',
                                  '{"sql":"SELECT 1","format":"x"}', '{"sql":"\\ud800"}'])
def test_a_wrong_body_is_400(t, body):
    problem(t.post("/query/sql", data=body, headers=JSON), 400, "invalid_argument")


def test_a_body_that_is_nested_too_deep_is_413(t):
    problem(t.post("/query/sql", data="[" * 100_000, headers=JSON), 413, "too_large")


def test_a_body_that_is_no_utf8_is_400(t):
    problem(t.post("/query/sql", data=b'{"sql":"SELECT \'\xff\'"}', headers=JSON), 400, "invalid_argument")
    answer = t.post("/query/sql", data=b"SELECT '\xff'", headers={"Content-Type": "text/plain"})
    assert answer.status_code in (400, 422), answer.text


def test_bodies_have_limits(serve):
    t = serve("--http-body-max", "2K", "--http-upload-max", "4K", "--query-sql-max", "1K")
    fits = {"sql": "SELECT 1", "format": "arrays"}
    assert t.post("/query/sql", json=fits).status_code == 200
    problem(t.query("SELECT '" + "x" * 1100 + "'"), 413, "too_large")
    problem(t.query("SELECT '" + "x" * 3000 + "'"), 413, "too_large")
    problem(t.upload("big", "a\n" + "1\n" * 3000), 413, "too_large")
    t.ingest("small", "a\n" + "1\n" * 1000)
    with Raw(t) as raw:  # refused before a byte of the body
        problem(raw.ask("POST", "/query/sql", "Content-Type: text/plain", "Content-Length: 1000000000000"), 413, "too_large")
        raw.rest()
    with Raw(t) as raw:  # and when it was not said how long it is
        raw.head("POST", "/query/sql", f"Authorization: Bearer {t.token}", "Content-Type: text/plain",
                 "Transfer-Encoding: chunked")
        raw.send("8\r\nSELECT 1\r\n")
        for _ in range(200):
            raw.send("100\r\n" + " " * 256 + "\r\n")
        raw.send("0\r\n\r\n")
        problem(raw.answer(), 413, "too_large")
    assert [d["name"] for d in t.get("/catalog/datasets").json()["datasets"]] == ["small"]


def test_who_has_no_token_is_refused_before_the_body(t):
    with Raw(t) as raw:
        raw.head("POST", "/ingest/file?dataset=x", "Content-Length: 1000000000")
        problem(raw.answer(), 401, "unauthenticated")
        raw.rest()


def test_a_body_comes_after_100_continue(t):
    with Raw(t) as raw:
        raw.head("POST", "/query/sql", f"Authorization: Bearer {t.token}", "Content-Type: text/plain",
                 "Content-Length: 8", "Expect: 100-continue")
        assert raw.socket.recv(4096).startswith(b"HTTP/1.1 100 ")
        raw.send("SELECT 1")
        assert raw.answer().status == 200


def test_chunked_bodies_are_read(t):
    with Raw(t) as raw:
        raw.head("POST", "/query/sql", f"Authorization: Bearer {t.token}", "Content-Type: text/plain",
                 "Transfer-Encoding: chunked")
        for piece in ("SEL", "ECT 4", "2 AS n"):
            raw.send(f"{len(piece):x}\r\n{piece}\r\n")
        raw.send("0\r\n\r\n")
        assert '"rows":[{"n":42}]' in raw.answer().text


# Who connects

def test_idle_connections_hold_nobody_up(t):
    idle = [Raw(t) for _ in range(300)]
    half = [Raw(t, "GET /heal") for _ in range(50)]
    try:
        wait_until(lambda: t.metric("http_connections") >= 350)
        assert t.value("SELECT 42") == 42
        assert all(t.get("/health").status_code == 200 for _ in range(20))
    finally:
        for raw in idle + half:
            raw.socket.close()
    wait_until(lambda: t.metric("http_connections") < 50)


def test_connections_and_silence_have_limits(serve):
    t = serve("--http-connections-max", 8, "--http-idle-timeout", "1s")
    raws = [Raw(t) for _ in range(30)]
    assert all(raw.rest() == b"" for raw in raws)  # too many, or silent for too long
    with Raw(t, "POST /query/sql HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n"
                f"Authorization: Bearer {t.token}\r\n\r\nSEL") as raw:
        assert b"200 OK" not in raw.rest()

    def is_served():
        try:
            return t.get("/health").status_code == 200
        except requests.ConnectionError:  # the places of those who were cut off are not free yet
            return False
    assert wait_until(is_served)


def test_a_public_address_needs_tls_or_a_word(tmp_path, serve):
    for address in ("0.0.0.0:0", ":0", "[::]:0"):
        done = subprocess.run([TARN, "serve", "--data", tmp_path / "d", "--listen", address], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode not in (0, -signal.SIGABRT) and "--allow-public" in done.stderr, done.stderr
        assert "--http-tls-cert" in done.stderr and not SANITIZER.search(done.stderr)
    t = serve("--allow-public", listen="0.0.0.0:0")
    assert t.get("/health").status_code == 200 and requests.get(t.url + "/journal", timeout=60).status_code == 401


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pem")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=tarn", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True, timeout=60)
    return str(cert), str(key)


def test_tls(serve, pem):
    cert, key = pem
    t = serve("--http-tls-cert", cert, "--http-tls-key", key)
    assert t.url.startswith("https://127.0.0.1:")
    t.session.verify = cert
    t.ingest("d", "a\n1\n2\n")
    assert t.value("SELECT sum(a) FROM d") == 3
    assert len(t.query(STREAM.format(300_000), accept=CSV).content.splitlines()) == 300_001
    with pytest.raises(requests.exceptions.SSLError):  # who does not know the certificate does not speak
        requests.get(t.url + "/health", timeout=60)
    with Raw(t, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as raw:
        assert b"HTTP/1.1 200" not in raw.rest()
    context = ssl.create_default_context(cafile=cert)
    with Raw(t, tls=context).begin_query(ENDLESS):
        wait_running(t, "running")
    wait_running(t)
    with Raw(t, tls=context) as raw:
        raw.head("POST", "/ingest/file?dataset=x", "Content-Length: 1000000000")
        problem(raw.answer(), 401, "unauthenticated")


def test_old_tls_is_refused(serve, pem):
    t = serve("--http-tls-cert", pem[0], "--http-tls-key", pem[1])
    t.session.verify = pem[0]
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{t.port}"],
                              input="", capture_output=True, text=True, timeout=60)
        assert "Cipher is (NONE)" in done.stdout
    assert t.get("/health").status_code == 200


@pytest.mark.parametrize("flags", [["--http-tls-cert", "{cert}"], ["--http-tls-key", "{key}"],
                                   ["--http-tls-cert", "/none", "--http-tls-key", "{key}"],
                                   ["--http-tls-cert", "{key}", "--http-tls-key", "{key}"],
                                   ["--http-tls-cert", "{cert}", "--http-tls-key", "{cert}"]])
def test_half_a_certificate_refuses_to_start(tmp_path, pem, flags):
    flags = [f.format(cert=pem[0], key=pem[1]) for f in flags]
    done = subprocess.run([TARN, "serve", "--data", tmp_path / "d", "--listen", "127.0.0.1:0", *flags], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode > 0 and "address " not in done.stdout, done.stderr
    assert re.search("certificate|key|tls", done.stderr, re.IGNORECASE) and not SANITIZER.search(done.stderr)


def test_a_taken_port_refuses_to_start(t, tmp_path):
    done = subprocess.run([TARN, "serve", "--data", tmp_path / "d", "--listen", f"127.0.0.1:{t.port}"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode > 0 and str(t.port) in done.stderr and not SANITIZER.search(done.stderr)


# Clients that leave, queries that are stopped

def test_a_client_that_hangs_up_cancels_its_query(t):
    cancelled, hangups = t.metric("query_cancelled"), t.metric("http_hangups")
    with Raw(t).begin_query(ENDLESS):
        [query] = wait_running(t, "running")
        assert query["principal"] == "admin" and query["elapsed_ms"] >= 0
    wait_running(t)
    wait_until(lambda: t.metric("http_hangups") == hangups + 1)
    assert t.metric("query_cancelled") == cancelled + 1 and t.metric("queries_running") == 0


def test_a_client_that_leaves_a_stream_ends_its_query(t):
    cancelled = t.metric("query_cancelled")
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV) as raw:
        assert b"200 OK" in raw.socket.recv(65536)
        wait_running(t, "running")
    wait_running(t)
    wait_until(lambda: t.metric("query_cancelled") == cancelled + 1)


def test_a_running_query_can_be_stopped(t):
    asking = Asking(t, ENDLESS)
    [query] = wait_running(t, "running")
    assert t.delete(f"/query/running/{query['id']}").json() == {"id": query["id"], "stopped": True}
    problem(asking.answer(), 499, "cancelled")
    problem(t.delete(f"/query/running/{query['id']}"), 404, "not_found")


def test_a_stream_that_is_stopped_never_looks_complete(t):
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV) as raw:
        answer = raw.begun()
        [query] = wait_running(t, "running")
        t.delete(f"/query/running/{query['id']}")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    wait_running(t)


# Places

def test_queries_that_run_and_wait_are_bounded(serve):
    t = serve("--query-running-max", 1, "--query-waiting-max", 1, "--query-wait-timeout", "10m")
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV):
        wait_running(t, "running")
        second = Asking(t, "SELECT 2 AS n")
        wait_running(t, "running", "waiting")
        answer = t.query("SELECT 3")
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert t.metric("queries_turned_away") == 1
        assert (t.metric("queries_running"), t.metric("queries_waiting")) == (1, 1)
        assert t.query("SELECT * FROM read_csv('x')").status_code == 422  # needs no place
        assert t.get("/catalog/datasets").status_code == 200
    assert second.answer().json()["rows"] == [{"n": 2}]  # the first one left
    wait_running(t)
    assert (t.metric("queries_running"), t.metric("queries_waiting")) == (0, 0)


def test_a_query_that_waits_can_be_stopped_or_left(serve):
    t = serve("--query-running-max", 1, "--query-wait-timeout", "10m")
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV):
        wait_running(t, "running")
        with Raw(t).begin_query("SELECT 1"):
            wait_running(t, "running", "waiting")
        wait_running(t, "running")
        second = Asking(t, "SELECT 2")
        [_, query] = wait_running(t, "running", "waiting")
        assert t.delete(f"/query/running/{query['id']}").status_code == 200
        problem(second.answer(), 499, "cancelled")
        wait_running(t, "running")


def test_who_waits_too_long_for_a_place_is_told_when_to_come_again(serve):
    t = serve("--query-running-max", 1, "--query-wait-timeout", "50ms")
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV):
        wait_running(t, "running")
        answer = t.query("SELECT 1")
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1


def test_no_place_may_be_waited_for(serve):
    t = serve("--query-running-max", 1, "--query-waiting-max", 0)
    assert t.value("SELECT 1") == 1
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV):
        wait_running(t, "running")
        problem(t.query("SELECT 1"), 503, "unavailable")


# The end

def refused(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=10).close()
    except OSError:
        return True
    return False


def test_sigterm_lets_queries_and_streams_come_to_their_end(serve):
    t = serve("--query-running-max", 1, "--query-wait-timeout", "10m", "--http-drain-timeout", "10m")
    rows = 3_000_000
    idle = Raw(t)
    with Raw(t).begin_query(STREAM.format(rows), CSV) as stream:
        wait_running(t, "running")
        waiting = Asking(t, "SELECT 2 AS n")
        wait_running(t, "running", "waiting")
        t.send(signal.SIGTERM)
        wait_until(lambda: refused(t))
        assert idle.rest() == b""
        assert t.process.poll() is None
        text = stream.answer("POST").text
    assert text.count("\n") == rows + 1 and text.endswith(f"{rows - 1},x{rows - 1}\r\n")
    assert waiting.answer().json()["rows"] == [{"n": 2}]
    assert t.wait() == 0 and "clean=true" in t.log


def leftovers(server):
    """Files that go with the process. Masked files are for the next one, too, and with them their generation."""
    return [name for part in ("spool", "cache") for folder, _, names in os.walk(f"{server.data}/{part}") for name in names
            if not folder.endswith("/cache/masked")]


def test_sigint_ends_an_idle_server(serve):
    t = serve()
    t.ingest("d", "a\n1\n")
    assert t.stop(signal.SIGINT) == 0
    assert sorted(os.listdir(t.data)) == ["admin.token", "cache", "primary", "spool"]
    assert leftovers(t) == []


def test_a_drain_ends_at_its_time(serve):
    t = serve("--http-drain-timeout", "100ms")
    asking = Asking(t, ENDLESS)
    wait_running(t, "running")
    t.send()
    assert t.wait() == 0 and "clean=false" in t.log
    if asking.answer() is not None:
        problem(asking.result, 499, "cancelled")


def test_a_second_signal_stops_queries(serve):
    t = serve("--http-drain-timeout", "10m")
    asking = Asking(t, ENDLESS)
    wait_running(t, "running")
    t.send()
    wait_until(lambda: refused(t))
    t.send()
    assert t.wait() == 0
    if asking.answer() is not None:
        problem(asking.result, 499, "cancelled")


def test_a_second_signal_stops_streams_that_nobody_reads(serve):
    t = serve("--http-drain-timeout", "10m")
    with Raw(t).begin_query(STREAM.format(2_000_000_000), CSV) as stream:
        answer = stream.begun()
        t.send()
        wait_until(lambda: refused(t))
        t.send()
        assert t.wait() == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()


def test_a_second_signal_stops_uploads(serve):
    t = serve("--http-drain-timeout", "10m")
    with Raw(t) as upload:
        upload.head("POST", "/ingest/file?dataset=x", f"Authorization: Bearer {t.token}", "Content-Length: 1000000")
        upload.send("a\n" + "1\n" * 10000)
        wait_until(lambda: leftovers(t))
        t.send()
        wait_until(lambda: refused(t))
        t.send()
        assert t.wait() == 0
    assert leftovers(t) == []


def test_a_head_that_trickles_is_cut_off(t, trickle):
    assert trickle.rest() == b""
    assert t.get("/health").status_code == 200
