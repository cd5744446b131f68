"""What the sections of the bench share: a server, the engine called directly, clocks, and figures.

A section is a file sections/NAME.py with ORDER, a docstring that says what it does, and

    def measure(house):
        yield Figure(...)

It is measured in a folder of its own, must be done in SECTION_SECONDS and may leave its servers to
be stopped. Pairs are measured in turns, so that a busy machine disturbs both alike, and the figure
is made from the best of the rounds: other work on the machine only ever adds. CPU time (of the
whole process) is preferred where waiting is no part of what is measured.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import re
import selectors
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
FLIGHTS = ROOT / "build" / "deps" / "vega-datasets" / "data" / "flights-3m.parquet"
START_SECONDS = 30
REQUEST_SECONDS = 60


class Failure(Exception):
    """A measurement that could not be made, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class Figure:
    """One measured ratio or amount, with what it is compared to and what is wanted."""

    name: str
    against: str
    clock: str  # "CPU", "wall" or "" for what is no time
    at_least: float = None
    at_most: float = None
    value: float = 0
    unit: str = "x"
    note: str = ""

    @property
    def reached(self):
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self):
        if self.at_least is None and self.at_most is None:
            return "reported"
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    def as_json(self):
        return json.dumps({"measure": self.name, "against": self.against, "clock": self.clock,
                           "target": self.target, "measured": self.value, "unit": self.unit,
                           "reached": self.reached, "note": self.note})


def process_cpu_us(pid):
    """CPU time that a process has used so far, all its threads; to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2) * 1e6


class Server:
    """tarn serve on a free port, with its own data folder."""

    def __init__(self, data, *options):
        self.data = pathlib.Path(data)
        self.log = open(self.data.parent / (self.data.name + ".log"), "w", encoding="utf-8")
        start = time.monotonic()
        self.process = subprocess.Popen(
            [BUILD / "tarn", "serve", "--data", data, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=self.log)
        try:
            self.port = self._wait_for_port(start + START_SECONDS)
            self.start_seconds = time.monotonic() - start
            self.token = (self.data / "admin.token").read_text(encoding="utf-8").strip()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                     timeout=REQUEST_SECONDS)

    def _wait_for_port(self, deadline):
        seen = b""
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while ready.select(max(0, deadline - time.monotonic())):
                piece = os.read(self.process.stdout.fileno(), 4096)
                if not piece:
                    break
                seen += piece
                found = re.search(rb"address\s+http://127\.0\.0\.1:(\d+)\s", seen)
                if found:
                    return int(found.group(1))
        log = (self.data.parent / (self.data.name + ".log")).read_text(encoding="utf-8")[-500:]
        raise Failure("the server did not start: " + log)

    def request(self, method, path, body=None, **headers):
        headers = {"Authorization": "Bearer " + self.token, **headers}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {data[:500]!r}")
        return data

    def sql(self, sql, accept="application/json"):
        return self.request("POST", "/query/sql", sql.encode(),
                            **{"Content-Type": "text/plain", "Accept": accept})

    def upload(self, dataset, path, options=""):
        """Sends the file as it lies on disk."""
        with open(path, "rb") as body:
            return json.loads(self.request(
                "POST", f"/ingest/file?dataset={dataset}{options}", body,
                **{"Content-Length": str(os.path.getsize(path))}))

    def cpu_us(self):
        return process_cpu_us(self.process.pid)

    def memory_mb(self, name):
        """A line of /proc/PID/status: VmRSS, RssAnon, VmHWM."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(name + r":\s+(\d+)", text).group(1)) / 1024

    def files(self, dataset):
        shown = json.loads(self.request("GET", "/catalog/datasets/by-name/" + dataset))
        return [str(self.data.resolve() / "primary" / o["path"]) for o in shown["objects"]]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Baseline:
    """The engine called directly; see baseline.c."""

    def __init__(self):
        self.process = subprocess.Popen([BUILD / "bench" / "tarn_baseline"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line.replace("\n", " ") + "\n")
        self.process.stdin.flush()
        text = self.process.stdout.readline()
        if not text:
            raise Failure("the baseline program ended")
        answer = json.loads(text)
        if "error" in answer:
            raise Failure("baseline: " + answer["error"])
        return answer

    def run(self, sql, times=1, warm=True):
        """(best wall, mean CPU) of the statement in microseconds; run once before unless warm."""
        answer = self.ask(f"{'run' if warm else 'once'} {times} {sql}")
        return min(answer["wall_us"]), answer["cpu_us"] / times

    def stop(self):
        self.process.kill()
        self.process.wait()


class House:
    """What a section works with: a folder, the engine, and servers that are stopped for it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        self.engine = Baseline()
        self.servers = []

    def serve(self, name, *options):
        self.servers.append(Server(str(self.folder / name), *options))
        return self.servers[-1]

    def close(self):
        for server in self.servers:
            server.stop()
        self.engine.stop()


def clocked(server, action):
    """(wall, CPU of the server) that the action takes, in microseconds."""
    cpu = server.cpu_us()
    start = time.monotonic()
    action()
    return (time.monotonic() - start) * 1e6, server.cpu_us() - cpu


def best(pairs):
    """The best wall and the best CPU time of several rounds."""
    return min(p[0] for p in pairs), min(p[1] for p in pairs)


def ms(us):
    return f"{us / 1e3:.0f} ms" if us >= 1e5 else f"{us / 1e3:.2f} ms"
