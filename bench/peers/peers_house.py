"""What the sections of the peers' bench share: Tarn as its client sees it, peers in their processes,
made data, and figures.

A section is a file sections/NAME.py with ORDER, a docstring that says what it does, and

    def measure(house):
        yield Measure(...)

All systems take turns in each round, so that a busy machine disturbs all alike; what counts is the
median of the rounds. A ratio is Tarn's speed to the peer's: above 1 Tarn is faster.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import pyarrow
import pyarrow.ipc

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench_house import ROOT, Failure, Server, clocked, ms, say  # noqa: E402

DEPS = ROOT / "build" / "deps"
PYTHONS = {"DuckLake": DEPS / "lake" / "bin" / "python", "Quack": DEPS / "lake" / "bin" / "python"}
ARROW = "application/vnd.apache.arrow.stream"
CALL_SECONDS = 300

# Deterministic and the same in every version of every engine: integers mixed by multiplying.
EVENTS = """
SELECT i AS id,
       TIMESTAMP '2026-01-01' + to_seconds(i * 5) AS sold,
       CAST((a // 2048) * (a // 2048) * 200000 // 4398046511104 AS INTEGER) AS customer,
       'product ' || b % 5000 AS product,
       ['north', 'south', 'east', 'west', 'centre'][1 + a % 5] AS region,
       (b % 1000000) / 100.0::DOUBLE AS amount,
       CAST(1 + c % 20 AS INTEGER) AS quantity,
       c % 3 = 0 AS paid,
       printf('%08x%08x', b, c) AS code,
       '/' || ['shop', 'garden', 'kitchen', 'office', 'toys', 'books', 'sale'][1 + c % 7] || '/'
           || ['lamp', 'chair', 'table', 'shelf', 'clock', 'vase', 'mirror', 'desk', 'rug', 'bench',
               'stool'][1 + b % 11] || '?ref=' || a % 100000 AS path
FROM (SELECT i, a, (a * 48271 + i) % 4294967296 AS b, (a * 69621 + i * 7) % 4294967291 AS c
      FROM (SELECT range AS i, (range * 2654435761 + 12345) % 4294967296 AS a FROM range({rows})))
ORDER BY i
"""
CUSTOMERS = """
SELECT CAST(range AS INTEGER) AS customer, 'customer ' || range AS name,
       'segment ' || range * 7919 % 8 AS segment, 'country ' || range * 104729 % 60 AS country,
       DATE '2015-01-01' + CAST(range * 31 % 4000 AS INTEGER) AS since
FROM range(200000)
"""


@dataclasses.dataclass
class Measure:
    """What all did: by system the wall times of the rounds, in microseconds for one thing done."""

    name: str
    wall_us: dict  # "Tarn" or a peer's name, to a list
    cpu_us: dict = dataclasses.field(default_factory=dict)
    each: str = ""  # "commit": shown as so many a second
    notes: dict = dataclasses.field(default_factory=dict)  # why a system has no figure

    def median(self, system):
        return statistics.median(self.wall_us[system])

    def ratio(self, system):
        return self.median(system) / self.median("Tarn")

    def amount(self, system):
        took = self.median(system)
        return f"{1e6 / took:.1f}/s" if self.each else ms(took)

    def spread(self, system):
        times = self.wall_us[system]
        return (max(times) - min(times)) / self.median(system)


class Tarn(Server):
    """A server that is asked as any client would: over HTTP, for Arrow, which is read to a table."""

    def query(self, text, save=None):
        data = self.sql(text, ARROW)
        table = pyarrow.ipc.open_stream(data).read_all()
        if save:
            pathlib.Path(save).write_bytes(data)
        return table.num_rows

    def open(self, files):
        """The files are its own."""

    def upload(self, dataset, path, options=""):
        return super().upload(dataset, path, "&format=" + str(path).rsplit(".", 1)[1] + options)

    def lookups(self, text, values):
        took = []
        for value in values:
            start = time.perf_counter()
            answer = json.loads(self.sql(text.replace("?", value)))
            took.append((time.perf_counter() - start) * 1e6)
            if answer["row_count"] != 1:
                raise Failure(f"{answer['row_count']} rows for {value}")
        return took

    def call(self, method, /, **arguments):
        """(wall, CPU, value) of one of the methods above."""
        value = []
        wall, cpu = clocked(self, lambda: value.append(getattr(self, method)(**arguments)))
        return wall, cpu, value[0]

    def client(self):
        """Another connection: a function like request()."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)

        def post(path, body):
            connection.request("POST", path, body, {"Authorization": "Bearer " + self.token,
                                                    "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise Failure(f"POST {path}: {answer.status} {text[:500]!r}")
        return post


class Peer:
    """A system of systems.py in its process."""

    def __init__(self, name, folder):
        self.name = name
        self.log = open(folder / f"{name}.log", "a", encoding="utf-8")
        python = PYTHONS.get(name, sys.executable)
        self.process = subprocess.Popen([python, HERE / "systems.py", name], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, cwd=folder)
        self._answer()

    def _answer(self):
        timer = threading.Timer(CALL_SECONDS, self.process.kill)
        timer.start()
        try:
            text = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not text:
            raise Failure(f"{self.name} ended, or was ended after {CALL_SECONDS} s")
        answer = json.loads(text)
        if "error" in answer:
            raise Failure(f"{self.name}: {answer['error']}")
        return answer

    def call(self, method, /, **arguments):
        """(wall, CPU, value) of a method of the system."""
        text = json.dumps({"call": method, "arguments": arguments})
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Failure(f"{self.name} ended") from error
        answer = self._answer()
        return answer["wall_us"], answer["cpu_us"], answer["value"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):  # a request that it did not live to read
            self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


class House:
    """A folder, the made data, and what runs in it until the section ends."""

    def __init__(self, folder, made, options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        self.made = made
        self.rows = options.rows
        self.rounds = options.rounds
        self.running = []

    def serve(self, name, *options):
        # A peer's turn may be long.
        self.running.append(Tarn(str(self.folder / name), "--http-idle-timeout", "1h", *options))
        return self.running[-1]

    def peer(self, name):
        self.running.append(Peer(name, self.folder))
        return self.running[-1]

    def peers(self, *names):
        return {name: self.peer(name) for name in names}

    def stop(self, system):
        self.running.remove(system)
        system.stop()

    def close(self):
        while self.running:
            self.running.pop().stop()


def turns(systems, rounds, action):
    """Measure's two tables: action(name, system, round) gives (wall, CPU) of each system in turns.

    A system that fails once has no figure; why is in the third table.
    """
    wall, cpu, notes = {}, {}, {}
    for i in range(rounds):
        for name, system in systems.items():
            if name in notes:
                continue
            try:
                took = action(name, system, i)
            except Failure as failure:
                if name == "Tarn":
                    raise
                say(f"  {failure}")
                notes[name] = str(failure)
                wall.pop(name, None)
                cpu.pop(name, None)
                continue
            wall.setdefault(name, []).append(took[0])
            cpu.setdefault(name, []).append(took[1])
    return wall, cpu, notes


def make_data(folder, rows):
    """The files that every section begins with: events and customers, as CSV and as Parquet."""
    import duckdb
    folder.mkdir()
    made = {}
    for name, sql in ("events", EVENTS.format(rows=rows)), ("customers", CUSTOMERS):
        duckdb.execute(f"CREATE OR REPLACE TABLE made AS {sql}")
        for kind, options in ("csv", "HEADER"), ("parquet", "COMPRESSION snappy"):
            made[name, kind] = str(folder / f"{name}.{kind}")
            duckdb.execute(f"COPY made TO '{made[name, kind]}' (FORMAT {kind}, {options})")
    duckdb.execute("DROP TABLE made")
    sizes = ", ".join(f"{p.name} {p.stat().st_size / 1e6:.0f} MB" for p in sorted(folder.iterdir()))
    say(f"made {rows:,} events and 200,000 customers: {sizes}")
    return made


def write_arrow(path, table):
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    return str(path)


def read_arrow(path):
    with pyarrow.OSFile(str(path)) as file:
        return pyarrow.ipc.open_stream(file).read_all()


def drop_from_page_cache(paths):
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
