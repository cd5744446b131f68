"""Servers for the black-box tests: each on a free port, in a temporary folder, and watched to its end."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests

import iceberg

TARN = os.environ.get("TARN_BIN", "tarn")
STOP_SECONDS = 60
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:")


class Answer(AssertionError):
    """An answer that a test did not ask for."""


def environment(server=None, **variables):
    """Of a process of a test: nothing for tarn or of a proxy but where the server is, and these; None takes one away."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TARN_") and not k.lower().endswith("_proxy")}
    if server:
        env.update(TARN_URL=server.url, TARN_TOKEN=server.token)
    env.update(variables)
    return {k: v for k, v in env.items() if v is not None}


def command(*words, server=None, stdin=None, text=True, cwd=None, **variables):
    """A command of tarn that has ended: never does it ask or hang."""
    source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run([TARN, *words], env=environment(server, **variables), capture_output=True, text=text, timeout=120,
                          cwd=cwd, **source)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Server:
    """A running tarn. Requests carry the admin token unless they bring an Authorization header."""

    def __init__(self, data, *flags, env=None, wait=True, scheme="http", listen="127.0.0.1:0"):
        self.data = str(data)
        self.lines = []
        self.errors = []
        self.scheme = scheme
        self.code = None
        self.session = requests.Session()
        self.session.trust_env = False
        command = [TARN, "serve", "--data", self.data, "--listen", listen, *map(str, flags)]
        self.command = command
        self.process = subprocess.Popen(command, env=environment(**(env or {})), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, errors="replace")
        self.ready = threading.Event()
        self.readers = [threading.Thread(target=self._read_output, daemon=True),
                        threading.Thread(target=self._read_log, daemon=True)]
        for reader in self.readers:
            reader.start()
        if wait:
            self.wait_ready()

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "Ctrl-C stops it" in line:
                self.ready.set()
        self.ready.set()

    def _read_log(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def wait_ready(self, seconds=60):
        self.ready.wait(seconds)
        found = re.search(r"address +(\w+)://(\S+):(\d+)", self.output)
        if not found:
            self.kill()
            raise AssertionError(f"the server did not start: {' '.join(self.command)}\n{self.output}{self.log}")
        self.host, self.port = found[2], int(found[3])
        self.url = f"{found[1]}://{self.host}:{self.port}"
        with open(f"{self.data}/admin.token", encoding="ascii") as f:
            self.token = f.read().strip()
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def output(self):
        return "".join(self.lines)

    @property
    def log(self):
        return "".join(self.errors)

    # Requests

    def request(self, method, path, headers=None, **more):
        h = {**bearer(self.token), **(headers or {})}
        h = {k: v for k, v in h.items() if v is not None}
        more.setdefault("timeout", 120)
        return self.session.request(method, self.url + path, headers=h, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def query(self, sql, accept=None, headers=None, **members):
        """The answer to a statement, whatever it is."""
        h = {"Content-Type": "application/json", "Accept": accept, **(headers or {})}
        return self.post("/query/sql", headers=h, json={"sql": sql, **members})

    def sql(self, sql, **members):
        """The rows of a statement, which must be answered with 200."""
        answer = self.query(sql, **members)
        if answer.status_code != 200:
            raise Answer(f"{answer.status_code} {answer.text}\nfor {sql}")
        return answer.json()["rows"]

    def value(self, sql):
        """The only value of the only row."""
        [[value]] = self.sql(sql, format="arrays")
        return value

    def upload(self, name, body, headers=None, **params):
        """The answer to an ingest, whatever it is."""
        h = {"Content-Type": "application/octet-stream", **(headers or {})}
        body = body.encode() if isinstance(body, str) else body
        return self.post("/ingest/file", params={"dataset": name, **params}, data=body, headers=h)

    def ingest(self, name, body, **params):
        """What an ingest, which must go well, answered."""
        answer = self.upload(name, body, **params)
        if answer.status_code not in (200, 201):
            raise Answer(f"{answer.status_code} {answer.text}")
        return answer.json()

    def let_in(self, role, grants, principal=None, **limits):
        """The token of somebody who has the role, which grants {object: [right]} from here on."""
        body = {"grants": [{"object": thing, "rights": rights} for thing, rights in grants.items()], "limits": limits}
        answer = self.request("PUT", f"/auth/roles/{role}", json=body)
        assert answer.status_code in (200, 201), answer.text
        answer = self.post("/auth/tokens", json={"principal": principal or role, "roles": [role]})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def metric(self, name):
        found = re.search(rf"^tarn_{name}(_total)? (\d+)", self.get("/metrics").text, re.MULTILINE)
        assert found, f"no metric {name}"
        return int(found[2])

    def told(self, **filters):
        """What the journal tells, newest first, but for the audit's own: of queries that did, or failed to do, anything."""
        found, cursor = [], None
        while True:
            page = self.get("/journal", params={"limit": 1000, **filters, **({"cursor": cursor} if cursor else {})})
            assert page.status_code == 200, page.text
            found += [e for e in page.json()["entries"] if not audited(e)]
            cursor = page.json()["next"]
            if not cursor:
                return found

    # The process

    def rss(self):
        """Bytes of memory, and the most there ever were."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            text = f.read()
        return [int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024 for name in ("VmRSS", "VmHWM")]

    def send(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """The exit code. A server that does not end in time is killed, and that is an error."""
        try:
            self.code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop in {seconds} s\n{self.log[-4000:]}") from None
        for reader in self.readers:
            reader.join(10)
        return self.code

    def stop(self, number=signal.SIGTERM, seconds=STOP_SECONDS):
        """Ends the server in order; asserts that it exits with 0 and that no sanitizer complained."""
        if self.code is None:
            self.session.close()
            if self.process.poll() is None:
                self.send(number)
            self.wait(seconds)
            assert not SANITIZER.search(self.log), self.log[-20000:]
            assert self.code == 0, f"exit code {self.code}\n{self.log[-8000:]}"
        return self.code

    def kill(self):
        """As a power cut does."""
        self.process.kill()
        self.code = self.process.wait()
        self.session.close()


def audited(entry):
    """Is it the audit's? It comes up to a second after its query, and the first one with the secret of the hashes."""
    return "query_id" in (entry["details"] or {}) or entry["target"] == "secret:audit-sql"


def wait_until(check, seconds=60, every=0.02):
    """Waits for check() to be true and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > end:
            assert value, "it did not happen in time"
            return value
        time.sleep(every)


def stop_all(servers):
    failures = []
    for server in servers:
        try:
            server.stop()
        except AssertionError as e:
            failures.append(str(e))
    assert not failures, "\n".join(failures)


@pytest.fixture
def serve(tmp_path):
    """serve(*flags, data=…) starts a server; all are stopped at the end."""
    servers = []

    def start(*flags, data=None, **more):
        server = Server(data or tmp_path / "data", *flags, **more)
        servers.append(server)
        return server

    yield start
    stop_all(servers)


@pytest.fixture
def tarn(serve):
    """A server of this test alone."""
    return serve()


@pytest.fixture(scope="module")
def tarn_module(tmp_path_factory):
    """A server that the tests of a file share."""
    server = Server(tmp_path_factory.mktemp("module") / "data")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def t(tarn_module):
    """The same; a file that wants another one has a fixture of that name."""
    return tarn_module


@pytest.fixture(scope="module")
def reader():
    """The other reader of Iceberg tables."""
    if not os.environ.get("TARN_NODE_MODULES") or not shutil.which("node"):
        pytest.skip("needs node and icebird")
    one = iceberg.Reader()
    yield one
    one.close()
